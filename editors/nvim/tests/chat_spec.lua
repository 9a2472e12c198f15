local Child = require('child')
local S = require('support')

--- A second Neovim with the chat open, and a session.
local function start(options)
  local child = Child.start(options)
  child:lua([[
    local attention = require('codex.approval.attention')
    attention.QUIET_MS, attention.ARM_MS = 0, 0
    _G.view = function()
      return require('codex.chat.windows').view()
    end
    _G.said = function()
      return table.concat(vim.api.nvim_buf_get_lines(view().buffer, 0, -1, false), '\n')
    end
    _G.settled = function()
      local session = view().session
      return session
        and session.status == 'idle'
        and #session.inputs.list == 0
        and not view().pages.loading
        and view().stream:is_empty()
    end
    _G.transcript = function()
      return require('codex.chat.windows').here().transcript
    end
    _G.go = function(line)
      vim.api.nvim_set_current_win(transcript())
      vim.cmd.stopinsert()
      vim.api.nvim_win_set_cursor(0, { line, 0 })
    end
    _G.line_of = function(text)
      for i, line in ipairs(vim.api.nvim_buf_get_lines(view().buffer, 0, -1, false)) do
        if line:find(text, 1, true) then
          return i
        end
      end
    end
  ]])
  return child
end

local function open(options)
  local child = start(options)
  child:command('Codex')
  child:wait('_G.view() and _G.view().session ~= nil')
  return child
end

local function said(child)
  return child:lua('return _G.said()')
end

--- Wait until the transcript has a text.
local function wait_said(child, text)
  local ok, problem = pcall(child.wait, child, ('_G.said():find(%q, 1, true) ~= nil'):format(text))
  if not ok then
    error(('%s\nthe transcript:\n%s'):format(problem, said(child)), 2)
  end
end

local function wait_settled(child)
  child:wait('_G.settled()')
end

--- Have a turn, typed as a person does.
local function say(child, text)
  child:type(text .. '<C-s>')
end

local function sent(world, n)
  return T.wait(function()
    return world.model:requests()[n or 1]
  end, 'a request to the model')
end

describe('the chat', function()
  it('opens beside the code, ready to be typed into', function()
    S.world({}, { files = { ['a.lua'] = 'local x = 1\n' } })
    local child = open({ args = { 'a.lua' } })
    T.eq('i', child:mode())
    T.eq('codex_input', child:lua('return vim.bo.filetype'))
    child:wait_for_text('idle · gpt-5')
    child:dump('chat-empty-100x30')
    T.has('Ask codex', child:screen())
    child:type('x')
    T.lacks('Ask codex', child:screen())
  end)

  it('sends what is typed, and shows the answer', function()
    local world = S.world({ S.text('Hello, I am *here*.\n\n```lua\nlocal x = 1\n```\n\nBye.') })
    local child = open()
    child:type('hello<CR>you<C-s>')
    wait_said(child, 'Bye.')
    wait_settled(child)
    T.eq({ 'hello\nyou' }, S.told(sent(world)))
    T.has('# You\nhello\nyou\n\n# Codex\nHello, I am *here*.', said(child))
    T.has('hello ', child:screen())
    child:type('<Esc>iagain<Esc>')
    T.eq({ 'again' }, child:lines())
  end)

  it('is Markdown, that the parser of Neovim colours', function()
    S.world({ S.text('Some `code` here.') })
    local child = open()
    say(child, 'hello')
    wait_said(child, 'here.')
    wait_settled(child)
    T.eq(
      true,
      child:lua([[
      local parser = vim.treesitter.get_parser(view().buffer)
      return parser:lang() == 'markdown' and vim.treesitter.highlighter.active[view().buffer] ~= nil
    ]])
    )
    T.eq('codex', child:lua('return vim.bo[view().buffer].filetype'))
    T.eq(false, child:lua('return vim.bo[view().buffer].modifiable'))
  end)

  it('shows a whole turn: commands and thoughts folded, the plan, the patch', function()
    S.world({
      S.shell({ 'bash', '-lc', 'seq 1 30; exit 3' }),
      S.shell({ 'ls' }),
      S.plan({
        { step = 'Look', status = 'completed' },
        { step = 'Mend', status = 'in_progress' },
        { step = 'Test', status = 'pending' },
      }, 'One after the other'),
      S.patch('*** Update File: a.lua', '@@', '-local x = 1', '+local x = 2'),
      S.reasoned('**Looking back**\n\nAll of it was done.', 'All is done: see `a.lua`.'),
    }, { files = { ['a.lua'] = 'local x = 1\nreturn x\n' } })
    local child = open({ args = { 'a.lua' } })
    say(child, 'mend @a.lua please')
    wait_said(child, 'All is done')
    wait_settled(child)
    local screen = child:screen()
    child:dump('chat-turn-100x30')
    T.match('Ran seq 1 30;.* · exit 3 · [%d.]+ s ▸ 30 lines', screen)
    T.match('Ran ls · exit 0 · [%d.]+ s ▸ 1 line\n', screen)
    T.has('Plan · 1 of 3 done', screen)
    T.has('- [ ] Mend ← now', screen)
    T.has('Changed `a.lua` +1 -1', screen)
    T.has('+local x = 2', screen)
    T.has('Thought · Looking back ▸', screen)
    T.has('# Codex\nRan `seq 1 30; exit 3`', said(child))
    T.lacks('\n12 ', screen)
    child:lua('_G.go(_G.line_of("Ran `seq"))')
    child:type('<CR>')
    T.match('│12%s', child:screen())
    child:type('<CR>')
    T.eq(-1 ~= child:lua('return vim.fn.foldclosed(".")'), true)
    T.eq({ 'local x = 2', 'return x' }, child:lines('a.lua'))
  end)

  it('shows the output of a command while it runs, and its own end as it comes', function()
    local world = S.world({
      S.shell({ 'bash', '-c', 'echo first; while [ ! -e go ]; do sleep 0.05; done; echo second' }),
      S.text('done'),
    })
    local child = open()
    say(child, 'go')
    wait_said(child, '```\nfirst')
    child:dump('chat-running-100x30')
    T.has('Running `', said(child))
    T.match('│first%s', child:screen())
    S.write(world.folder .. '/go', '')
    wait_said(child, 'done')
    wait_settled(child)
    T.has('first\nsecond\n```', said(child))
    T.lacks('│first', child:screen())
  end)

  it('shows all of a long output in a window of its own', function()
    S.world({ S.shell({ 'seq', '1', '5000' }), S.text('done') })
    local child = open()
    say(child, 'go')
    wait_said(child, 'done')
    wait_settled(child)
    T.has('▸ 5000 lines', child:screen())
    local lines = child:lua('return vim.api.nvim_buf_line_count(view().buffer)')
    T.eq(true, lines < 200)
    child:lua('_G.go(_G.line_of("more lines"))')
    child:type('<CR>') -- opens the fold
    child:type('<CR>')
    T.eq(5000, #child:lines())
    child:type('q')
    T.eq('codex', child:lua('return vim.bo.filetype'))
  end)

  it('has a command approved, from where it is shown', function()
    local world = S.world({ S.shell({ 'touch', 'made.txt' }), S.text('done') }, {
      config = { approval_policy = 'untrusted', sandbox_mode = 'workspace-write' },
    })
    local child = open()
    say(child, 'go')
    wait_said(child, 'Asks to run `touch made.txt` · waits for your answer')
    child:wait_for_text('1 question: :CodexApprove')
    child:dump('chat-asks-100x30')
    T.eq('i', child:mode())
    child:type('<Esc>')
    child:wait_for_text('Run this command?')
    child:dump('chat-approval-100x30')
    child:type('a')
    wait_said(child, 'done')
    wait_settled(child)
    T.has('Ran `touch made.txt` · exit 0', said(child))
    T.eq(1, vim.fn.filereadable(world.folder .. '/made.txt'))
  end)

  it('says that a command was not run if the answer is no', function()
    S.world({ S.shell({ 'touch', 'made.txt' }), S.text('as you like') }, {
      config = { approval_policy = 'untrusted', sandbox_mode = 'workspace-write' },
    })
    local child = open()
    say(child, 'go')
    child:type('<Esc>')
    child:wait_for_text('Run this command?')
    child:type('d')
    wait_said(child, 'as you like')
    wait_settled(child)
    T.has('Did not run `touch made.txt`', said(child))
  end)

  it('has a patch approved, which lands in the buffer', function()
    S.world({
      S.patch('*** Update File: a.lua', '@@', '-local x = 1', '+local x = 2'),
      S.text('done'),
    }, {
      files = { ['a.lua'] = 'local x = 1\nreturn x\n' },
      config = { approval_policy = 'on-request', sandbox_mode = 'workspace-write' },
    })
    local child = open({ args = { 'a.lua' } })
    say(child, 'go')
    wait_said(child, 'Asks to change `a.lua` +1 -1 · waits for your answer')
    child:type('<Esc>:CodexApprove<CR>')
    child:wait_for_text('hunk 1 of 1')
    child:type('ga')
    wait_said(child, 'done')
    wait_settled(child)
    T.has('Changed `a.lua` +1 -1', said(child))
    T.eq({ 'local x = 2', 'return x' }, child:lines('a.lua'))
  end)

  it('stops a turn with CTRL-C, and says so', function()
    S.world({ S.text('beginning ', S.hold()), S.text('again') })
    local child = open()
    say(child, 'go')
    wait_said(child, 'beginning')
    child:wait_for_text('running')
    child:type('<C-c>')
    wait_said(child, 'Interrupted')
    wait_settled(child)
    T.eq('n', child:mode())
    child:type('<C-c>')
    child:wait('vim.tbl_contains(_G.notices, "codex: no turn is running")')
    child:type('ion<C-s>')
    wait_said(child, 'again')
  end)

  it('shows what waits while a turn runs, and sends it when its time has come', function()
    local world = S.world({ S.text('one ', S.hold('x')), S.text('two') })
    local child = open()
    say(child, 'first')
    wait_said(child, 'one')
    say(child, 'and the second')
    wait_said(child, 'Waits for its turn:\nand the second')
    child:dump('chat-waiting-100x30')
    world.model:release('x')
    wait_said(child, 'two')
    wait_settled(child)
    T.lacks('Waits', said(child))
    T.match('one%s*\n\n# You\nand the second\n\n# Codex\ntwo$', said(child))
  end)

  it('says what has gone wrong, and what to do', function()
    local world = S.world({ { status = 400, body = { error = { message = 'no such model' } } } })
    local child = open()
    say(child, 'go')
    wait_said(child, 'no such model')
    wait_settled(child)
    child:dump('chat-error-100x30')
    T.has('Error: ', said(child))
    T.eq(1, #world.model:requests())
  end)

  it('takes back what a broken stream has said, and says it again', function()
    S.world({
      {
        events = {
          { type = 'response.created', response = { id = 'r' } },
          {
            type = 'response.output_item.added',
            item = { type = 'message', id = 'm', role = 'assistant', content = {} },
          },
          { type = 'response.output_text.delta', item_id = 'm', delta = 'half a sen' },
          {
            disconnect = true,
          },
        },
      },
      S.text('the whole sentence'),
    })
    local child = open()
    say(child, 'go')
    wait_said(child, 'the whole sentence')
    wait_settled(child)
    T.has('Warning: ', said(child))
    T.lacks('half a sen', said(child))
  end)

  it('gives the input back if there can be no session, and tries again', function()
    local world = S.world({ S.text('here I am') })
    local config = S.read(world.home .. '/config.toml')
    S.write(world.home .. '/config.toml', 'model_provider = "nowhere"\n')
    local child = start()
    child:command('Codex hello there')
    child:wait('_G.view() and _G.view().problem ~= nil')
    wait_said(child, 'Error: ')
    T.eq('hello there', child:lua('return view().input:text()'))
    child:dump('chat-not-configured-100x30')
    S.write(world.home .. '/config.toml', config)
    child:type('<CR>')
    wait_said(child, 'here I am')
  end)

  it('goes on after the server was killed, with what was typed meanwhile', function()
    S.world({ S.text('one'), S.text('two') })
    local child = open({ setup = { restart = { delay_ms = 100 } } })
    say(child, 'first')
    wait_said(child, 'one')
    wait_settled(child)
    child:lua([[
      for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
        vim.uv.kill(pid, 'sigkill')
      end
    ]])
    child:wait('_G.view().session.status == "disconnected"')
    say(child, 'second')
    wait_said(child, 'Waits for its turn:\nsecond')
    child:dump('chat-restart-100x30')
    wait_said(child, 'two')
    wait_settled(child)
    T.match('Warning: The server ended.*The server is back.*# You\nsecond', said(child))
  end)

  it('shows what seldom happens, too', function()
    S.world({})
    local child = open()
    child:lua([[
      local session, seq = view().session, 100
      local function tell(msg)
        seq = seq + 1
        session:on_event({ sessionId = session.id, seq = seq, id = 'x', msg = msg })
      end
      local call = { server = 'demo', tool = 'echo', arguments = { text = 'hi' } }
      tell({ type = 'task_started' })
      tell({ type = 'mcp_tool_call_begin', call_id = 'c', invocation = call })
      tell({
        type = 'mcp_tool_call_end',
        call_id = 'c',
        invocation = call,
        duration = { secs = 1, nanos = 500000000 },
        result = { Ok = { content = { { type = 'text', text = 'hi, too' } } } },
      })
      tell({ type = 'context_compacted', summary = 'It was about a parser.' })
      tell({ type = 'background_event', message = 'a server of tools is slow' })
      tell({ type = 'patch_apply_begin', call_id = 'p', auto_approved = true, changes = {
        [session.root .. '/a.lua'] = { add = { content = 'x' } },
      } })
      tell({ type = 'patch_apply_end', call_id = 'p', success = false, stdout = '', stderr = 'no' })
      local cwd = session.root
      tell({ type = 'exec_command_begin', call_id = 'e', command = { 'sleep' }, cwd = cwd })
      tell({ type = 'turn_aborted', reason = 'taken_over' })
    ]])
    wait_said(child, 'Another program has taken the session')
    child:dump('chat-seldom-100x30')
    local text = said(child)
    T.match('Used `demo.echo` · 1.5 s\n```json\n{\n  "text": "hi"\n}\n```\n```\nhi, too', text)
    T.has('The conversation was summarised, to make room\n> It was about a parser.', text)
    T.has('a server of tools is slow', text)
    T.has('Could not add `a.lua` +1\nno\n', text)
    T.has('Ran `sleep` · did not finish', text)
  end)

  it('starts a server again that was stopped', function()
    S.world({ S.text('here I am') })
    local child = open()
    child:type('<Esc>')
    child:lua('_G.view().session.server:stop()')
    child:wait('_G.view().session.server.state == "stopped"')
    child:wait_for_text('stopped: :Codex')
    child:command('Codex hello')
    wait_said(child, 'here I am')
  end)

  it('does not mind an event that it has never heard of', function()
    S.world({ S.text('fine') })
    local child = open()
    child:lua([[
      local session = view().session
      session:on_event({ sessionId = session.id, seq = 99, id = 'x', msg = { type = 'sunrise' } })
    ]])
    say(child, 'go')
    wait_said(child, 'fine')
    T.eq({}, child:lua('return _G.notices'))
  end)
end)

describe('what is sent', function()
  it('is a selection with :Codex and a range', function()
    local world = S.world({ S.text('done') }, { files = { ['a.lua'] = 'one\ntwo\nthree\n' } })
    local child = start({ args = { 'a.lua' } })
    child:type('jVj:')
    child:type('Codex fix this<CR>')
    child:wait('_G.view() ~= nil')
    wait_said(child, 'Waits for its turn:\nfix this') -- there is no session yet
    wait_said(child, 'done')
    wait_settled(child)
    T.has('# You\nfix this\nWith `a.lua:2-3`', said(child))
    T.lacks('Waits', said(child))
    local text = table.concat(S.told(sent(world)), '\n')
    T.has('fix this', text)
    T.has('two\nthree', vim.json.encode(sent(world).input):gsub('\\n', '\n'))
    T.eq('codex_input', child:lua('return vim.bo.filetype'))
    T.eq('n', child:mode())
  end)

  it('has a range in the input as long as nothing is said about it', function()
    S.world({}, { files = { ['a.lua'] = 'one\ntwo\nthree\n' } })
    local child = start({ args = { 'a.lua' } })
    child:type(':2,3Codex<CR>')
    T.eq({ '@a.lua:2-3 ' }, child:lines())
    T.eq('i', child:mode())
  end)

  it('has the text of a file that is named with @, as it is in the buffer', function()
    local world = S.world({ S.text('done') }, { files = { ['a.lua'] = 'one\n' } })
    local child = open({ args = { 'a.lua' } })
    child:type('<Esc><C-w>h')
    child:type('ccnot saved<Esc>')
    child:command('Codex look at @a.lua')
    wait_said(child, 'done')
    T.has('not saved', vim.json.encode(sent(world).input))
  end)

  it('has an image by its path', function()
    local world = S.world({ S.text('a dot') })
    local png = vim.base64.decode(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA'
        .. 'WjR9awAAAABJRU5ErkJggg=='
    )
    S.write(world.folder .. '/a dot.png', png)
    local child = open()
    child:lua(
      'vim.api.nvim_paste(..., false, -1)',
      ("what is on '%s/a dot.png' ?"):format(world.folder)
    )
    child:type('<C-s>')
    wait_said(child, 'a dot')
    T.has('With the image `a dot.png`', said(child))
    T.has('data:image/png;base64', vim.json.encode(sent(world).input):gsub('\\/', '/'))
  end)

  it('is completed behind an @', function()
    local files = { 'lua/parser.lua', 'lua/printer.lua', 'a.lua', 'lib/a.lua', 'with space.txt' }
    local texts = {}
    for _, name in ipairs(files) do
      texts[name] = ''
    end
    S.world({}, { files = texts })
    local child = open()
    child:type('mend @pars')
    child:wait('vim.fn.pumvisible() == 1')
    child:dump('chat-complete-100x30')
    T.has('lua/parser.lua', child:screen())
    child:type('<C-n><C-y>, and @')
    child:type('spa<C-n><C-y>')
    T.eq({ 'mend @lua/parser.lua, and @"with space.txt"' }, child:lines())
    child:type('<Esc>cc@a.lua')
    child:wait('vim.fn.pumvisible() == 1')
    child:type('<C-n>')
    T.eq(0, child:lua('return vim.fn.complete_info({ "selected" }).selected'))
    child:type('<C-n>')
    T.eq(1, child:lua('return vim.fn.complete_info({ "selected" }).selected'))
    child:type('<C-y>')
    T.eq({ '@lib/a.lua' }, child:lines())
    T.eq(0, child:lua('return vim.fn.pumvisible()'))
    child:type('<Esc>cc@prin')
    child:type('<C-x><C-u>')
    child:wait('vim.fn.pumvisible() == 1')
  end)

  it('can be had again with the arrow keys, also from the session before', function()
    S.world({ S.text('a'), S.text('b'), S.text('c') })
    local child = open()
    say(child, 'first')
    wait_said(child, '# Codex\na')
    wait_settled(child)
    child:type('<Esc>')
    child:command('CodexNew')
    child:wait('_G.view().session and #require("codex.sessions_open").all() == 2')
    child:type('second<CR>line<C-s>')
    wait_said(child, '# Codex\nb')
    child:type('draft<Up>')
    T.eq({ 'second', 'line' }, child:lines())
    child:type('<Up>')
    T.eq({ 'second', 'line' }, child:lines())
    child:type('<Up>')
    child:wait('vim.fn.getline(1) == "first"')
    child:type('<Down>')
    T.eq({ 'second', 'line' }, child:lines())
    child:type('<Down>')
    T.eq({ 'draft' }, child:lines())
  end)
end)

describe('a session that is resumed', function()
  --- A world with a saved session of so many turns.
  local function saved(turns)
    local script = {}
    for i = 1, turns do
      table.insert(script, S.text(('answer %d'):format(i)))
    end
    table.insert(script, S.text('and on'))
    local world = S.world(script)
    local session = S.session()
    local events = S.events(session)
    for i = 1, turns do
      session:send(S.says(('question %d'):format(i)))
      S.wait_event(events, 'task_complete', i)
    end
    local closed
    session:close(function()
      closed = true
    end)
    T.wait(function()
      return closed
    end)
    return world
  end

  it('shows what was said, the newest page first, older ones at the top', function()
    saved(40)
    local pages = require('codex.chat.pages')
    local child = start()
    child:lua('require("codex.chat.pages").SIZE = 30')
    child:command('CodexResume last')
    child:wait('_G.view() ~= nil')
    wait_said(child, 'answer 40')
    wait_settled(child)
    T.has('answer 40', child:screen())
    T.has('↑ older messages (50 items): <CR>', said(child))
    T.lacks('question 25\n', said(child))
    child:wait_for_text('question 1 ')
    child:dump('chat-resumed-100x30')
    child:lua('_G.go(2)')
    child:type('gg')
    wait_said(child, 'question 25\n')
    wait_settled(child)
    -- What was read stays where it was.
    T.has('question 26\n', child:screen())
    T.has('question 28\n', child:screen())
    child:type('gg')
    wait_said(child, 'question 10\n')
    wait_settled(child)
    child:type('gg')
    wait_said(child, 'question 1\n')
    wait_settled(child)
    T.has('codex in', said(child))
    for i = 1, 40 do
      T.has(('# You\nquestion %d\n\n# Codex\nanswer %d'):format(i, i), said(child))
    end
    T.eq(30, pages.SIZE - 30)
    child:lua('require("codex.chat").focus(true)')
    say(child, 'go on')
    wait_said(child, 'answer 40\n\n# You\ngo on\n\n# Codex\nand on')
  end)

  it('is as it was shown, with its folds', function()
    S.world({
      S.shell({ 'seq', '1', '20' }),
      S.patch('*** Add File: b.lua', '+return 1'),
      S.reasoned('Hm', 'All is done.'),
    })
    local child = open()
    say(child, 'go')
    wait_said(child, 'All is done.')
    wait_settled(child)
    local live = said(child)
    child:type('<Esc>')
    child:lua('vim.cmd.bwipeout({ view().buffer, bang = true })')
    child:wait('#vim.api.nvim_list_wins() == 1')
    child:command('Codex')
    wait_said(child, 'All is done.')
    wait_settled(child)
    local function plain(text)
      return (text:gsub('%d+%.%d+ s', 'N s'):gsub('@@[^\n]*\n', ''))
    end
    T.eq(plain(live), plain(said(child)))
    T.match('Ran seq 1 20 · exit 0 · [%d.]+ s ▸ 20 lines', child:screen())
    T.eq(1, child:lua('return #vim.fn.win_findbuf(view().buffer)'))
  end)
end)

describe('what is said while a page is read', function()
  --- Keep the answers to `session/read` back until `go_on()`.
  local HOLD = [[
    local server = require('codex.server').get()
    local request, kept = server.request, {}
    server.request = function(self, method, params, callback)
      return request(self, method, params, method ~= 'session/read' and callback or function(...)
        local answer = { ... }
        table.insert(kept, function()
          callback(unpack(answer, 1, 2))
        end)
      end)
    end
    _G.kept = function()
      return #kept > 0
    end
    _G.go_on = function()
      server.request = nil
      for _, fn in ipairs(kept) do
        fn()
      end
    end
  ]]

  it('is shown behind it', function()
    S.world({ S.text('the first'), S.text('the second') })
    local child = open()
    say(child, 'one')
    wait_said(child, 'the first')
    wait_settled(child)
    child:lua('_G.view().session:close()')
    wait_said(child, ':CodexResume')
    child:lua(HOLD)
    child:type('<Esc>:CodexResume last<CR>')
    child:wait('_G.kept()')
    child:type('itwo<C-s>')
    child:wait('_G.view().session.tokens ~= nil and _G.view().session.status == "idle"')
    T.lacks('the second', said(child))
    child:lua('_G.go_on()')
    wait_said(child, 'the second')
    wait_settled(child)
    T.match('# You\none\n\n# Codex\nthe first\n\n# You\ntwo\n\n# Codex\nthe second$', said(child))
  end)

  it('is neither lost nor shown twice if the chat was wiped out in a turn', function()
    local world = S.world({ S.text('one ', S.hold('x'), 'end') })
    local child = open()
    say(child, 'go')
    wait_said(child, 'one')
    child:type('<Esc>')
    child:lua('vim.cmd.bwipeout({ view().buffer, bang = true })')
    child:lua(HOLD)
    child:command('Codex')
    child:wait('_G.kept()')
    world.model:release('x')
    child:wait('_G.view().session.status == "idle"')
    child:lua('_G.go_on()')
    wait_said(child, 'one end')
    wait_settled(child)
    T.match('\n\n# You\ngo\n\n# Codex\none end$', said(child))
  end)
end)

describe('a session that was closed', function()
  it('is shown once more when it is resumed, and no line twice', function()
    S.world({ S.text('the answer'), S.text('more') })
    local child = open()
    say(child, 'question')
    wait_said(child, 'the answer')
    wait_settled(child)
    child:lua('_G.view().session:close()')
    wait_said(child, ':CodexResume')
    say(child, 'too late')
    wait_said(child, 'Not sent')
    T.eq({ 'too late' }, child:lines())
    child:type('<Esc>:CodexResume last<CR>')
    child:wait('_G.view().session.status == "idle"')
    wait_said(child, 'the answer')
    wait_settled(child)
    local _, count = said(child):gsub('the answer', '')
    T.eq(1, count)
    T.lacks(':CodexResume', said(child))
    child:type('<CR>')
    wait_said(child, '# You\ntoo late\n\n# Codex\nmore')
  end)
end)

describe('in the transcript', function()
  local function talked(child)
    say(child, 'one')
    wait_said(child, 'the first')
    wait_settled(child)
    say(child, 'two')
    wait_said(child, 'the second')
    wait_settled(child)
  end

  local function world()
    return S.world({ S.text('the first, see a.lua:2.'), S.text('the second') }, {
      files = { ['a.lua'] = 'one\ntwo\nthree\n' },
    })
  end

  it(']] and [[ move between messages', function()
    world()
    local child = open()
    talked(child)
    child:lua('_G.go(1)')
    local function line()
      return child:lua('return vim.fn.getline(".")')
    end
    child:type(']]')
    T.eq('# You', line())
    child:type(']]')
    T.has('the first', line())
    child:type('2]]')
    T.eq('the second', line())
    child:type('[[')
    T.eq('# You', line())
    child:type('j[[')
    T.eq('# You', line())
    child:type('2[[')
    T.eq('# You', line())
  end)

  it('gf opens the file of a message, and <CR> that of a patch, beside the chat', function()
    S.world({
      S.patch('*** Update File: a.lua', '@@', ' two', '-three', '+3'),
      S.text('see a.lua:2.'),
    }, { files = { ['a.lua'] = 'one\ntwo\nthree\n' } })
    local child = open()
    say(child, 'go')
    wait_said(child, 'see a.lua:2.')
    wait_settled(child)
    child:lua('_G.go(_G.line_of("see a.lua"))')
    child:type('wgf')
    T.match('/a.lua$', child:lua('return vim.api.nvim_buf_get_name(0)'))
    T.eq(2, child:lua('return vim.fn.line(".")'))
    child:lua('_G.go(_G.line_of("+3"))')
    child:type('<CR>')
    T.match('/a.lua$', child:lua('return vim.api.nvim_buf_get_name(0)'))
    T.eq(3, child:lua('return vim.fn.line(".")'))
    T.eq(3, child:lua('return #vim.api.nvim_tabpage_list_wins(0)'))
    child:lua('_G.go(_G.line_of("# You"))')
    child:type('gf')
    child:wait([[#vim.tbl_filter(function(text)
      return text:find('there is no file') ~= nil
    end, _G.notices) > 0]])
  end)

  it('the end is followed, unless somebody is reading', function()
    local held = S.world({
      S.text(
        ('line\n'):rep(60),
        S.hold('x'),
        ('more\n'):rep(60) .. 'the middle\n',
        S.hold('y'),
        ('and more\n'):rep(60),
        'the end'
      ),
    })
    local child = open()
    say(child, 'go')
    child:wait_for_text('│line')
    held.model:release('x')
    child:wait_for_text('│the middle')
    child:lua('_G.go(3)')
    child:type('ma')
    held.model:release('y')
    wait_said(child, 'the end')
    wait_settled(child)
    T.eq(3, child:lua('return vim.fn.line(".")'))
    T.lacks('the end', child:screen())
    child:type('G')
    T.has('the end', child:screen())
    child:type('i<PageUp>')
    T.lacks('the end', child:screen())
    child:type('<PageDown>')
    T.has('the end', child:screen())
    T.eq('i', child:mode())
  end)
end)

describe('the windows of the chat', function()
  it('close with q, and open again with what was said and typed', function()
    S.world({ S.text('here') })
    local child = open()
    say(child, 'go')
    wait_said(child, 'here')
    child:type('a draft<Esc>q')
    T.eq(1, child:lua('return #vim.api.nvim_list_wins()'))
    child:command('Codex')
    T.has('here', child:screen())
    T.eq({ 'a draft' }, child:lines())
    T.eq(3, child:lua('return #vim.api.nvim_list_wins()'))
  end)

  it('go together', function()
    S.world({ S.text('here') })
    local child = open()
    child:type('<Esc>:q<CR>')
    T.eq(2, child:lua('return #vim.api.nvim_list_wins()'))
    child:command('Codex')
    T.eq(3, child:lua('return #vim.api.nvim_list_wins()'))
    child:type('<Esc><C-w>k:q<CR>')
    child:wait('#vim.api.nvim_list_wins() == 1')
  end)

  it('can be the last ones', function()
    S.world({})
    local child = open()
    child:type('<Esc><C-w>h:q<CR>')
    T.eq(2, child:lua('return #vim.api.nvim_list_wins()'))
    child:type('q')
    child:wait('#vim.api.nvim_list_wins() == 1')
    T.eq('', child:lua('return vim.bo.filetype'))
    child:command('Codex')
    T.eq(3, child:lua('return #vim.api.nvim_list_wins()'))
  end)

  it('are in each tab page that asks for them, about the same session', function()
    S.world({ S.text('here') })
    local child = open()
    child:type('<Esc>')
    child:command('tabnew')
    child:command('Codex hello')
    wait_said(child, 'here')
    wait_settled(child)
    T.has('here', child:screen())
    child:command('tabprevious')
    T.has('here', child:screen())
    T.eq(1, child:lua('return #require("codex.sessions_open").all()'))
    child:command('tabonly')
    child:type('<Esc>q')
    T.eq(1, child:lua('return #vim.api.nvim_list_wins()'))
  end)

  it('survive that their buffers are wiped out, whatever is going on', function()
    local world = S.world({ S.text('one ', S.hold('x'), 'end') })
    local child = open()
    say(child, 'go')
    wait_said(child, 'one')
    child:type('<Esc>')
    child:lua('vim.cmd.bwipeout({ view().buffer, bang = true })')
    world.model:release('x')
    child:wait('_G.view().session.status == "idle"')
    child:command('Codex')
    wait_said(child, 'one end')
    child:type('<Esc>')
    child:command('bwipeout!')
    child:command('Codex')
    T.eq('codex_input', child:lua('return vim.bo.filetype'))
    T.eq({}, child:lua('return _G.notices'))
  end)

  it('do not depend on the current folder, nor on hidden', function()
    local world = S.world({ S.text('here, see a.lua') }, { files = { ['a.lua'] = 'one\n' } })
    local child = open()
    child:lua('vim.o.hidden = false')
    child:type('<Esc>:cd /<CR>')
    child:type('ilook at @a.lua<C-s>')
    wait_said(child, 'here')
    wait_settled(child)
    T.has('one', vim.json.encode(sent(world).input))
    child:type('<Esc>q')
    child:command('Codex')
    T.has('here', child:screen())
    T.eq(1, child:lua('return #require("codex.sessions_open").all()'))
  end)

  it('can be below, in a tab page, or floating', function()
    S.world({})
    for _, position in ipairs({ 'left', 'bottom', 'tab', 'float' }) do
      local child = open({ setup = { chat = { position = position } } })
      child:wait_for_text('idle')
      child:dump('chat-' .. position .. '-100x30')
      child:type('<Esc>')
      T.eq('n', child:mode())
      child:type('q')
      child:wait('#vim.api.nvim_list_wins() == 1')
      child:stop()
    end
  end)

  it('fit into a small screen', function()
    S.world({
      S.shell({ 'bash', '-lc', 'echo a very long command line that has no room; seq 20' }),
      S.text('That is all that there is to be said about it, I think.'),
    })
    local child = open({ columns = 80, lines = 24 })
    say(child, 'say something about this small screen')
    wait_said(child, 'That is all')
    wait_settled(child)
    child:dump('chat-turn-80x24')
    T.match('Ran echo .*… · exit 0 · [%d.]+ s ▸ 21 lines', child:screen())
    T.lacks('```', child:screen())
  end)
end)
