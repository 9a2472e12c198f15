"""A prompt in, a stream of model events out: the providers, each behind the same interface.

Owns everything that is peculiar to a model's server: its dialect, its errors, its pace. It
knows `protocol` and `config` only; the session loop sees it through a port that these clients
fit by shape (`context_window`, `stores_responses`, `max_retries`, `stream`). It retries
nothing, keeps no conversation, and looks into response items no further than it must.

- `registry`: configuration in, client out; the table of providers. `preload`: the heavy imports.
- `responses`: the Responses API over HTTP; `request`: what it sends; `responses_events`: what
  comes back; `read_ahead`: the buffer in between; `errors`: what went wrong, in our words;
  `delays`: how long to wait then.
- `scripted`: a model that plays a file; `script`: what it plays; `script_file`: the format.
- `families`: what is known of models by name. `instructions`: the built-in system prompt.

httpx is imported by functions of `preload`, `responses` and `errors` only, never at start.
"""
