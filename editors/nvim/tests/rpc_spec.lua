local S = require('support')
local frames = require('codex.frames')

--- What comes out of chunks.
local function bodies(chunks)
  local parser, got = frames.new(), {}
  for _, chunk in ipairs(chunks) do
    parser:feed(chunk)
    local body = parser:next()
    while body do
      table.insert(got, body)
      body = parser:next()
    end
  end
  return got, parser.bytes
end

describe('frames', function()
  local wanted = { '{"a":1}', '', '{"b":"\r\n\r\nContent-Length: 3\r\n\r\nä🙂"}', '[]' }
  local stream = table.concat(vim.tbl_map(frames.frame, wanted))

  it('are found whatever the chunks are', function()
    for size = 1, #stream do
      local chunks = {}
      for at = 1, #stream, size do
        table.insert(chunks, stream:sub(at, at + size - 1))
      end
      local got, left = bodies(chunks)
      T.eq(wanted, got)
      T.eq(0, left)
    end
  end)

  it('count what is not whole yet', function()
    local got, left = bodies({ frames.frame('x'), 'Content-Length: 5\r\n\r\nab' })
    T.eq({ 'x' }, got)
    T.eq(2, left)
  end)

  it('take any case, other headers, and a line of a warning before them', function()
    local got = bodies({
      'content-LENGTH:2\r\nContent-Type: x\r\n\r\nab',
      'a warning\nContent-Length: 1\r\n\r\nc',
    })
    T.eq({ 'ab', 'c' }, got)
  end)

  it('of a long message cost no more than its length', function()
    local body = ('x'):rep(8 * 1024 * 1024)
    local frame, chunks = frames.frame(body), {}
    for at = 1, #frame, 4096 do
      table.insert(chunks, frame:sub(at, at + 4095))
    end
    local began = os.clock()
    local got = bodies(chunks)
    T.eq(true, os.clock() - began < 0.5)
    T.eq(true, got[1] == body)
  end)

  it('are not found in what is something else', function()
    local parser = frames.new()
    parser:feed('Usage: something\r\n\r\n')
    local ok, problem = pcall(parser.next, parser)
    T.eq(false, ok)
    T.has('no JSON-RPC: Usage: something', problem)
  end)
end)

describe('a request of the server', function()
  --- A server that asks once it is initialised, and keeps the answer.
  local function asks(request)
    local folder = S.folder()
    S.write(
      folder .. '/asks.py',
      ([[
import json, sys
def read():
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        length = int(line.split(b":")[1])
    return json.loads(sys.stdin.buffer.read(length)) if length else None
def write(message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %%d\r\n\r\n%%b" %% (len(body), body))
    sys.stdout.buffer.flush()
write({"id": read()["id"], "result": {"capabilities": {}}})
write({"id": "codex-1", **json.loads(%q)})
while message := read():
    if message.get("id") == "codex-1":
        open(%q, "w").write(json.dumps(message))
    elif message.get("method") == "shutdown":
        break
]]):format(vim.json.encode(request), folder .. '/answer')
    )
    S.world({}, { setup = { cmd = { vim.env.CODEX_PYTHON or 'python3', folder .. '/asks.py' } } })
    require('codex.server').get()
    local answer = T.wait(function()
      local text = vim.uv.fs_stat(folder .. '/answer') and S.read(folder .. '/answer')
      return text and text ~= '' and vim.json.decode(text)
    end, 'the answer')
    return answer
  end

  it('is answered, with nothing as well', function()
    local answer = asks({ method = 'window/workDoneProgress/create', params = { token = 't' } })
    T.eq({ id = 'codex-1', jsonrpc = '2.0', result = vim.NIL }, answer)
  end)

  it('that Neovim does not know is answered with an error', function()
    T.eq(-32601, asks({ method = 'codex/fly', params = {} }).error.code)
  end)

  it('in which a handler fails is answered with an error', function()
    S.notices()
    local err = asks({ method = 'codex/saveDocuments', params = {} }).error
    T.eq(-32603, err.code)
  end)
end)
