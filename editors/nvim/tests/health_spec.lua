local S = require('support')

--- What :checkhealth codex says.
local function report()
  vim.cmd('checkhealth codex')
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\n')
end

--- The part of a report under a heading.
local function part(text, heading)
  local from = assert(text:find(heading, 1, true), text)
  return text:sub(from, text:find('\n%S* ?codex: ', from + #heading) or #text)
end

describe(':checkhealth codex', function()
  it('says that all is well, and what the doctor finds', function()
    local world = S.world({}, { script = {} })
    local text = report()
    T.match('OK Neovim 0%.', text)
    T.has('OK the options are fine', text)
    T.match('OK codex%-rpc %d+%.%d+%.%d+ %(/', text)
    T.has('no server runs for this project yet; :Codex starts it', text)
    local doctor = part(text, 'codex: codex-rpc doctor')
    T.match('OK program: codex%-rpc', doctor)
    T.has('at ' .. world.model.url, doctor)
    T.match('sandbox: ', doctor)
  end)

  it('says that the model server cannot be reached', function()
    local world = S.world({})
    world.model:stop()
    local doctor = part(report(), 'codex: codex-rpc doctor')
    T.match('ERROR provider: [^\n]*', doctor)
  end)

  it('says that there is no program, and how to get it', function()
    S.world({}, { setup = { cmd = { 'no-such-codex-rpc' } } })
    local text = report()
    T.has('ERROR there is no `no-such-codex-rpc` that can be run', text)
    T.has('pip install codex-rpc', text)
    T.lacks('codex-rpc doctor', text)
  end)

  it('says that the program does not run', function()
    S.world({}, { setup = { cmd = { 'sh', '-c', 'echo no library >&2; exit 127' } } })
    local text = report()
    T.match('ERROR [^\n]*sh does not run: no library', text)
  end)

  it('says what is wrong in setup()', function()
    S.notices()
    S.world({}, { setup = { chat = { sise = 3 } } })
    T.has('ERROR setup(): `chat.sise` is no option; did you mean `chat.size`?', report())
  end)

  it('says that a command waits for an answer', function()
    S.world({ S.shell({ 'touch', 'x' }) }, { config = { approval_policy = 'untrusted' } })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'exec_approval_request')
    T.has('a command waits for your answer: :CodexApprove', report())
  end)

  it('says that the model is working', function()
    S.world({ S.text('beg', S.hold()) })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'agent_message_delta')
    T.match('OK [^\n]*: running; [^\n]* is working, :CodexStop ends it', report())
  end)

  it('says that the server was given up', function()
    local notices = S.notices()
    local script = 'test "$1" = --version && echo codex-rpc 9.9.9 && exit; exit 3'
    local world = S.world({}, {
      setup = {
        cmd = { 'sh', '-c', script, 'codex-rpc' },
        restart = { delay_ms = 1, max_delay_ms = 1 },
      },
    })
    require('codex.server').get()
    S.wait_notice(notices, 'ended 5 times')
    local text = report()
    T.has(vim.fn.fnamemodify(world.folder, ':~') .. ': failed. The server ended 5 times', text)
    T.has(':CodexLog, then :Codex', text)
  end)
end)
