local Child = require('child')
local S = require('support')

local HERE = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')

local ASKS = { approval_policy = 'untrusted', sandbox_mode = 'workspace-write' }

--- A second Neovim with a session, in a window that stands for the chat.
local function start(options)
  local child = Child.start(options)
  child:lua([[
    local attention = require('codex.approval.attention')
    attention.QUIET_MS, attention.ARM_MS = 0, 0
    _G.events = {}
    require('codex.session').configure(require('codex.server').get(), {}, function(err, session)
      assert(not err, vim.inspect(err))
      _G.session = session
      require('codex.sessions_open').set_current(session)
      session:subscribe(function(msg)
        table.insert(_G.events, msg)
      end)
    end)
    _G.say = function(text)
      _G.session:send({ { type = 'text', text = text } })
    end
    _G.event = function(type)
      for _, msg in ipairs(_G.events) do
        if msg.type == type then
          return msg
        end
      end
    end
    -- How many floating windows there are.
    _G.floats = function()
      return #vim.tbl_filter(function(window)
        return vim.api.nvim_win_get_config(window).relative ~= ''
      end, vim.api.nvim_list_wins())
    end
  ]])
  child:wait('_G.session ~= nil')
  return child
end

--- Have its window be one of the chat.
local function in_chat(child)
  child:lua([[vim.bo.filetype = 'codex_transcript']])
end

local function say(child, text)
  child:lua('_G.say(...)', text)
end

local function waits(child, n)
  child:wait(('#_G.session.waiting == %d'):format(n or 1))
end

local function command(...)
  return S.shell({ ... }, { justification = 'because of the spec' })
end

describe('a command that has to be approved', function()
  it('is asked about in a floating window, and runs once it is approved', function()
    local world = S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    local screen = child:wait_for_text('Run this command?')
    T.has('touch made.txt', screen)
    T.has('sandbox   workspace-write', screen)
    T.has('network   no', screen)
    T.has('a once', screen)
    T.has('q later', screen)
    child:dump('approval-command-100x30')
    child:type('a')
    child:wait('_G.event("task_complete") ~= nil')
    T.eq(0, child:lua('return _G.floats()'))
    T.eq(1, vim.fn.filereadable(world.folder .. '/made.txt'))
  end)

  it('has its command highlighted as shell', function()
    S.world({ command('bash', '-lc', 'if true; then echo "$HOME"; fi'), S.text('done') }, {
      config = ASKS,
    })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    local groups = child:lua([[
      local seen = {}
      for column = 1, #vim.fn.getline(1) do
        seen[vim.fn.synIDattr(vim.fn.synID(1, column, 1), 'name')] = true
      end
      return seen
    ]])
    T.eq(true, groups.shConditional or groups.shIf)
    T.eq(true, groups.shDerefSimple or groups.shDoubleQuote)
    T.eq('', child:lua([[return vim.fn.synIDattr(vim.fn.synID(3, 3, 1), 'name')]]))
  end)

  it('is not run if it is rejected, and the turn goes on', function()
    local world = S.world(
      { command('touch', 'made.txt'), S.text('as you like') },
      { config = ASKS }
    )
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:type('d')
    child:wait('_G.event("task_complete") ~= nil')
    T.eq(0, vim.fn.filereadable(world.folder .. '/made.txt'))
  end)

  it('ends the turn if that is asked for', function()
    S.world({ command('touch', 'made.txt'), S.text('never said') }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:type('x')
    child:wait('_G.event("turn_aborted") ~= nil')
    T.eq(0, child:lua('return _G.floats()'))
  end)

  it('is asked about once if it is approved for the session', function()
    S.world({
      command('touch', 'made.txt'),
      command('touch', 'made.txt'),
      S.text('done'),
    }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:type('s')
    child:wait('_G.event("task_complete") ~= nil')
    local asked = child:lua([[return #vim.tbl_filter(function(msg)
      return msg.type == 'exec_approval_request'
    end, _G.events)]])
    T.eq(1, asked)
  end)

  it('tells more on request', function()
    S.world({ command('bash', '-lc', 'touch made.txt'), S.text('done') }, { config = ASKS })
    local child = start({ columns = 80, lines = 24 })
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:dump('approval-command-80x24')
    child:type('?')
    local screen = child:wait_for_text('run by')
    T.has('"-lc"', screen)
    child:dump('approval-details-80x24')
    child:type('?')
    T.lacks('run by', child:screen())
  end)

  it('waits when it is put off, until it is asked for again', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:type('q')
    T.eq(0, child:lua('return _G.floats()'))
    child:type('<C-w>wj')
    T.eq(0, child:lua('return _G.floats()'))
    T.eq(1, child:lua('return #_G.session.waiting'))
    child:command('CodexApprove')
    T.has('Run this command?', child:screen())
    child:type('<Esc>')
    child:command('CodexApprove')
    child:command('quit')
    T.eq(0, child:lua('return _G.floats()'))
    child:command('CodexApprove')
    child:type('a')
    child:wait('_G.event("task_complete") ~= nil')
  end)

  it('leaves whoever types in insert mode alone, but for a notice', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    in_chat(child)
    child:type('iI was typ')
    say(child, 'go')
    waits(child)
    child:wait('#_G.notices == 1')
    T.eq('i', child:mode())
    child:type('ing a dsx')
    T.eq({ 'I was typing a dsx' }, child:lines())
    T.eq(0, child:lua('return _G.floats()'))
    T.has('codex wants to run `touch made.txt`: :CodexApprove', child:lua('return _G.notices[1]'))
    child:dump('approval-notice-100x30')
    child:type('<Esc>')
    child:wait_for_text('Run this command?')
  end)

  it('leaves whoever works in another window alone, until asked for', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    say(child, 'go')
    waits(child)
    child:wait('#_G.notices == 1')
    child:type('<C-l>')
    T.eq(0, child:lua('return _G.floats()'))
    child:command('CodexApprove')
    T.has('Run this command?', child:screen())
    child:type('a')
    child:wait('_G.event("task_complete") ~= nil')
  end)

  it('does not take a key that was on its way when it came up', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    child:lua([[require('codex.approval.attention').ARM_MS = 100000]])
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:type('a')
    T.eq(1, child:lua('return #_G.session.waiting'))
    -- Whoever asks for it means what is typed then.
    child:command('CodexApprove')
    child:type('a')
    child:wait('_G.event("task_complete") ~= nil')
  end)

  it('is off the screen when the turn is over', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:lua('_G.session:interrupt()')
    child:wait('_G.event("turn_aborted") ~= nil')
    T.eq(0, child:lua('return _G.floats()'))
    child:command('CodexApprove')
    child:wait('vim.list_contains(_G.notices, "codex: nothing waits to be approved")')
  end)

  it('is off the screen when the server has ended', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:lua([[require('codex.server').stop_all()]])
    child:wait('_G.floats() == 0')
  end)

  it('says so when the answer comes too late, and is gone', function()
    S.world({ command('touch', 'made.txt'), S.text('done') }, { config = ASKS })
    local child = start()
    in_chat(child)
    say(child, 'go')
    child:wait_for_text('Run this command?')
    child:lua([[
      local waiting = _G.session.waiting[1]
      local op = { type = 'exec_approval', id = waiting.call_id, decision = 'denied' }
      _G.session:submit(op)
    ]])
    child:type('a')
    child:wait('#_G.notices > 0')
    T.has('The answer does not count', child:lua('return _G.notices[1]'))
    T.eq(0, child:lua('return _G.floats()'))
  end)
end)

describe('several questions', function()
  it('are put one after the other, the oldest first', function()
    local world = S.world({
      command('touch', 'one.txt'),
      command('touch', 'two.txt'),
      S.text('done'),
      S.text('done'),
    }, { config = ASKS })
    local child = start()
    child:lua([[
      require('codex.session').configure(require('codex.server').get(), {}, function(_, other)
        _G.other = other
      end)
    ]])
    child:wait('_G.other ~= nil')
    say(child, 'go')
    waits(child)
    child:lua([[_G.other:send({ { type = 'text', text = 'go' } })]])
    child:wait('#_G.other.waiting == 1')
    child:command('CodexApprove')
    local screen = child:screen()
    T.has('touch one.txt', screen)
    T.has('(1 of 2)', screen)
    child:type('a')
    screen = child:screen()
    T.has('touch two.txt', screen)
    T.lacks('1 of', screen)
    child:type('d')
    child:wait('_G.event("task_complete") ~= nil')
    child:wait('_G.other.status == "idle"')
    T.eq(0, child:lua('return _G.floats()'))
    T.eq(1, vim.fn.filereadable(world.folder .. '/one.txt'))
    T.eq(0, vim.fn.filereadable(world.folder .. '/two.txt'))
  end)
end)

describe('a tool of a server that has to be approved', function()
  it('is asked about with its arguments, and used once it is approved', function()
    local call = S.shell({ 'replaced' })
    for _, event in ipairs(call.events) do
      if event.item then
        event.item.name = 'demo__echo'
        event.item.arguments = vim.json.encode({ text = 'from the spec' })
      end
    end
    local world = S.world({ call, S.text('done') }, { config = ASKS })
    local demo = vim.fs.normalize(HERE .. '/../../../tests/support/mcp_demo.py')
    local python = vim.fn.exepath(vim.env.CODEX_PYTHON or 'python3')
    local file = assert(io.open(world.home .. '/config.toml', 'a'))
    file:write(('[mcp_servers.demo]\ncommand = %q\nargs = [%q]\n'):format(python, demo))
    file:close()
    local child = start({ columns = 80, lines = 24 })
    in_chat(child)
    say(child, 'go')
    local screen = child:wait_for_text('Use this tool?')
    child:dump('approval-tool-80x24')
    T.has('echo of the server demo', screen)
    T.has('"text": "from the spec"', screen)
    child:type('a')
    child:wait('_G.event("task_complete") ~= nil')
    T.eq(true, child:lua([[return _G.event('mcp_tool_call_end').result.Ok ~= nil]]))
  end)
end)
