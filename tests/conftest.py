"""What every test shares."""

import signal

import pytest

if hasattr(signal, "SIGHUP"):
    # A run in the background, or one that is to outlive its terminal, ignores these, and what is
    # started here would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the tests see into tests/golden/wire instead of comparing with it",
    )
    parser.addoption(
        "--kills",
        type=int,
        default=50,
        help="how often the server is killed at a random moment (50)",
    )
    parser.addoption(
        "--codex-020",
        metavar="PATH",
        help="the real Codex CLI 0.20 (npm: @openai/codex@0.20.0), to exchange sessions with",
    )
    parser.addoption(
        "--codex-latest",
        metavar="PATH",
        help="the Codex CLI of today (npm: @openai/codex), whose sessions are continued",
    )
    parser.addoption(
        "--llama-server",
        metavar="PATH",
        help="the `llama-server` of llama.cpp, for conversations with a real model",
    )
    parser.addoption("--llama-model", metavar="FILE", help="the weights (.gguf) that it serves")
    parser.addoption(
        "--llama-template",
        metavar="FILE",
        help="a chat template, where the model's own does not fit its way of calling tools",
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    update: bool = request.config.getoption("--update-golden")
    return update


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often a test kills the server."""
    count: int = request.config.getoption("--kills")
    return count
