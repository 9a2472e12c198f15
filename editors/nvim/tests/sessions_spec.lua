local Child = require('child')
local S = require('support')

local list = require('codex.sessions.list')
local open = require('codex.sessions_open')

local notices, attached
--- What `vim.ui.select` and `vim.ui.input` are answered, in order, and what they asked.
local queue, asked

--- Have the next questions answered; of a list, by a part of an item's text.
local function answer(...)
  queue, asked = { ... }, {}
end

before_each(function()
  notices, attached, queue, asked = {}, {}, {}, {}
  local notify, select, input = vim.notify, vim.ui.select, vim.ui.input
  local chat = package.loaded['codex.chat']
  vim.notify = function(text)
    table.insert(notices, text)
  end
  vim.ui.select = function(items, opts, callback)
    local texts = vim.tbl_map(opts.format_item or tostring, items)
    table.insert(asked, { prompt = opts.prompt, items = texts, kind = opts.kind })
    local wanted = table.remove(queue, 1)
    for i, text in ipairs(texts) do
      if wanted and text:find(wanted, 1, true) then
        return callback(items[i], i)
      end
    end
    callback(nil)
  end
  vim.ui.input = function(opts, callback)
    table.insert(asked, { prompt = opts.prompt, default = opts.default })
    callback(table.remove(queue, 1))
  end
  package.loaded['codex.chat'] = {
    attach = function(session)
      table.insert(attached, session)
    end,
  }
  S.on_clean(function()
    vim.notify, vim.ui.select, vim.ui.input = notify, select, input
    package.loaded['codex.chat'] = chat
  end)
end)

local function noticed(part)
  T.wait(function()
    return table.concat(notices, '\n'):find(part, 1, true)
  end, function()
    return part .. ' in ' .. vim.inspect(notices)
  end)
end

--- A saved session in which something was said; closed.
local function saved(text, params)
  local session = S.session(params)
  local events = S.events(session)
  session:send(S.says(text))
  S.wait_event(events, 'task_complete')
  local closed
  session:close(function(err)
    assert(not err, vim.inspect(err))
    closed = true
  end)
  T.wait(function()
    return closed
  end, 'the session to close')
  return session.id
end

local function request(method, params)
  local result
  require('codex.server').get():request(method, params, function(err, answered)
    assert(not err, vim.inspect(err))
    result = answered
  end)
  T.wait(function()
    return result
  end, method)
  return result
end

local function titles(params)
  local page = request('session/list', params or vim.empty_dict())
  return vim.tbl_map(function(session)
    return session.title
  end, page.sessions)
end

--- Wait for the window with the preview, and press a key in it.
local function press(key)
  T.wait(function()
    return vim.bo.filetype == 'codex_preview'
  end, 'the preview')
  vim.api.nvim_feedkeys(vim.keycode(key), 'xt', false)
end

local function world(...)
  local responses = { ... }
  for _ = 1, 4 do
    table.insert(responses, S.text('an answer'))
  end
  return S.world(responses)
end

describe('the line of a session', function()
  it('says when, what and how it is', function()
    local summary = {
      sessionId = 'x',
      title = 'Mend the\nparser',
      updatedAt = '2026-11-23T04:11:40.033Z',
      status = 'interrupted',
      live = true,
      archived = false,
      origin = 'codex',
      cwd = '/p',
    }
    local line = list.line(summary, 70, true)
    T.has('Mend the parser', line)
    T.has('[open, interrupted, Codex CLI]  /p', line)
    T.eq(true, vim.fn.strdisplaywidth(line) <= 70)
  end)

  it('tells times shortly', function()
    local at = 1795320700 -- 2026-11-22T04:11:40Z
    T.eq('now', list.ago('2026-11-22T04:11:40Z', at + 59))
    T.eq('59 min', list.ago('2026-11-22T04:11:40Z', at + 3599))
    T.eq('23 h', list.ago('2026-11-22T04:11:40Z', at + 86399))
    T.eq('3 d', list.ago('2026-11-22T04:11:40Z', at + 3 * 86400))
    T.eq('2026-11-22', list.ago('2026-11-22T04:11:40Z', at + 90 * 86400))
    T.eq('', list.ago(nil))
  end)
end)

describe('the list of sessions', function()
  it('has those of the project, and says how many are elsewhere', function()
    local w = world()
    saved('here it is')
    vim.fn.mkdir(w.home .. '/other/.git', 'p')
    saved('somewhere else', { cwd = w.home .. '/other' })
    answer('in other folders')
    vim.cmd('CodexSessions')
    T.wait(function()
      return #asked == 2
    end)
    T.eq(2, #asked[1].items)
    T.has('here it is', asked[1].items[1])
    T.eq('… 1 in other folders', asked[1].items[2])
    T.eq(2, #asked[2].items)
    T.has('somewhere else', asked[2].items[1])
    T.has('/other', asked[2].items[1])
  end)

  it('comes page by page', function()
    world()
    for i = 1, 3 do
      saved('number ' .. i)
    end
    local selecting = require('codex.sessions.select')
    local limit = selecting.limit
    selecting.limit = function()
      return 2
    end
    answer('more of them')
    vim.cmd('CodexSessions')
    T.wait(function()
      return #asked == 2
    end)
    selecting.limit = limit
    T.eq(3, #asked[1].items)
    T.has('number 3', asked[1].items[1])
    T.eq(3, #asked[2].items)
    T.has('number 1', asked[2].items[3])
  end)

  it('can be searched', function()
    world()
    saved('the parser')
    saved('the printer')
    vim.cmd('CodexSessions parser')
    T.wait(function()
      return #asked == 1
    end)
    T.eq(1, #asked[1].items)
    T.has('with "parser"', asked[1].prompt)
    vim.cmd('CodexSessions unheard of')
    noticed(':CodexSessions without words lists all')
  end)

  it('says what to do if there is none', function()
    world()
    vim.cmd('CodexSessions')
    noticed(':Codex begins one')
  end)
end)

describe('a saved session', function()
  it('is shown before it is opened', function()
    world(S.shell({ 'echo', 'some output' }))
    saved('look at it')
    answer('look at it')
    vim.cmd('CodexSessions')
    T.wait(function()
      return vim.fn.search('an answer', 'nw') > 0
    end, 'the preview')
    local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\n')
    T.has('# look at it', text)
    T.has('## You\n\nlook at it', text)
    T.has("```sh\n$ echo 'some output'\n```", text)
    T.has('```\nsome output\n```', text)
    T.has('## Codex\n\nan answer', text)
    -- Back to the list, and away from it.
    press('q')
    T.eq(2, #asked)
    T.eq(1, #vim.api.nvim_list_wins())
  end)

  it('is opened in the chat', function()
    world()
    local id = saved('go on with me')
    answer('go on with me')
    vim.cmd('CodexSessions')
    press('<CR>')
    T.wait(function()
      return #attached == 1
    end)
    T.eq(id, attached[1].id)
    T.eq(id, open.current().id)
    T.eq(true, attached[1].info.resumed)
  end)

  it('is forked', function()
    world()
    local id = saved('take a copy')
    answer('take a copy')
    vim.cmd('CodexSessions')
    press('f')
    T.wait(function()
      return #attached == 1
    end)
    T.eq(id, attached[1].info.forkedFrom)
  end)

  it('is renamed', function()
    world()
    saved('old title')
    answer('old title', 'new title')
    vim.cmd('CodexSessions')
    press('n')
    T.wait(function()
      return #asked == 3
    end)
    T.eq('old title', asked[2].default)
    T.has('new title', asked[3].items[1])
    T.eq({ 'new title' }, titles())
  end)

  it('is archived, and taken back', function()
    world()
    saved('put away')
    answer('put away', 'archived', 'put away')
    vim.cmd('CodexSessions')
    press('a')
    press('a')
    T.wait(function()
      return #titles() == 1
    end)
    T.eq('… 1 archived', asked[2].items[1])
    T.has('[archived]', asked[3].items[1])
  end)

  it('is deleted only if the person says so', function()
    world()
    saved('go away')
    answer('go away', 'Keep it')
    vim.cmd('CodexSessions')
    press('d')
    T.eq({ 'go away' }, titles())
    T.has('Delete "go away"?', asked[2].prompt)
    answer('go away', 'Delete it')
    vim.cmd('CodexSessions')
    press('d')
    T.wait(function()
      return #titles() == 0
    end)
  end)

  it('is closed before it is deleted if it is open here', function()
    world()
    local id = saved('open and gone')
    require('codex.sessions').resume(id)
    T.wait(function()
      return #attached == 1
    end)
    answer('open and gone', 'Delete it', 'Close it first')
    vim.cmd('CodexSessions')
    press('d')
    T.wait(function()
      return #titles() == 0
    end)
    T.eq('closed', attached[1].status)
  end)

  it('is exported as Markdown, HTML and JSON', function()
    local w = world()
    saved('write me down')
    for format, sign in pairs({ markdown = 'write me down', html = '<html', json = '{' }) do
      local path = w.home .. '/out.' .. format
      answer('write me down', format, path)
      vim.cmd('CodexSessions')
      press('e')
      noticed('exported to ' .. path)
      T.has(sign, S.read(path))
      T.match('/write%-me%-down%.%a+$', asked[3].default)
    end
  end)

  it('is not exported over a file', function()
    local w = world()
    saved('write me down')
    S.write(w.home .. '/there.md', 'mine')
    answer('write me down', 'markdown', w.home .. '/there.md')
    vim.cmd('CodexSessions')
    press('e')
    noticed('The session was not exported: ')
    T.eq('mine', S.read(w.home .. '/there.md'))
  end)
end)

--- End the server, so that its sessions are nobody's.
local function leave()
  require('codex.server').stop_all()
  T.wait(function()
    return require('codex.server').running() == 0
  end, 'the server to end')
end

describe('a session of another process', function()
  --- Another `codex-rpc` that has a session; what it is told comes into the returned list.
  local function hold(id)
    local said = ''
    local process = vim.system({ 'codex-rpc' }, {
      stdin = true,
      stdout = function(_, data)
        said = said .. (data or '')
      end,
    })
    S.on_clean(function()
      process:kill('sigterm')
      process:wait(3000)
    end)
    process:write(vim.json.encode({
      jsonrpc = '2.0',
      id = 1,
      method = 'session/resume',
      params = { sessionId = id },
    }) .. '\n')
    T.wait(function()
      return said:find('"resumed": ?true')
    end, function()
      return 'the other process: ' .. said
    end)
    return function()
      return said
    end
  end

  it('is taken over, if the person says so', function()
    world()
    local id = saved('mine now')
    leave()
    local said = hold(id)
    answer('Take it over')
    vim.cmd('CodexResume ' .. id)
    T.wait(function()
      return #attached == 1
    end)
    T.has('The session is open elsewhere (process ', asked[1].prompt)
    T.eq(id, attached[1].id)
    T.wait(function()
      return said():find('session_taken_over', 1, true)
    end)
  end)

  it('is left alone, or forked', function()
    world()
    local id = saved('yours')
    leave()
    local said = hold(id)
    answer('Leave it')
    vim.cmd('CodexResume ' .. id)
    T.wait(function()
      return #asked == 1
    end)
    T.eq({}, attached)
    answer('Fork it')
    vim.cmd('CodexResume ' .. id)
    T.wait(function()
      return #attached == 1
    end)
    T.eq(id, attached[1].info.forkedFrom)
    T.lacks('session_taken_over', said())
  end)
end)

describe(':CodexResume', function()
  it('goes on with the last session of the project', function()
    world()
    saved('older')
    local id = saved('newer')
    vim.cmd('CodexResume last')
    T.wait(function()
      return #attached == 1
    end)
    T.eq(id, attached[1].id)
  end)

  it('says so if there is none, or none with that id', function()
    world()
    vim.cmd('CodexResume last')
    noticed('There is nothing to go on with: ')
    vim.cmd('CodexResume 00000000-0000-4000-8000-000000000000')
    noticed('The session cannot be opened: ')
  end)

  it('says why a session cannot be read', function()
    world()
    local id = saved('broken soon')
    leave()
    local path = vim.fn.glob(vim.env.CODEX_HOME .. '/sessions/**/*.jsonl')
    S.write(path, 'not a session\n')
    vim.cmd('CodexResume ' .. id)
    noticed('cannot read the session file')
    T.eq({}, attached)
  end)

  it('goes on here if the folder is gone', function()
    local w = world()
    vim.fn.mkdir(w.home .. '/other')
    local id = saved('where was it', { cwd = w.home .. '/other' })
    vim.fn.delete(w.home .. '/other', 'd')
    answer('where was it')
    require('codex.sessions').pick({ all = true })
    press('r')
    T.wait(function()
      return #attached == 1
    end)
    T.eq(id, attached[1].id)
    noticed('/other is gone; it goes on in ' .. w.folder)
  end)

  it('completes ids, though they have to be asked for', function()
    world()
    local id = saved('complete me')
    list.listed, list.ids = false, {}
    local child = Child.start()
    child:lua([[vim.api.nvim_create_user_command('Resume', function() end, {
      nargs = '?',
      complete = function(start)
        return require('codex.sessions').complete(start)
      end,
    })]])
    child:type(':Resume ' .. id:sub(1, 4) .. '<Tab>')
    child:wait(('vim.fn.getcmdline() == "Resume %s"'):format(id))
    child:type('<C-u>Resume la<Tab>')
    T.eq('Resume last', child:lua('return vim.fn.getcmdline()'))
    child:type('<Esc>')
  end)
end)

--- What is the same with each of the pickers that are plugins.
local plugins = {
  { name = 'telescope', accept = '<CR>', fork = '<C-f>', rename = '<C-r>', search = '<C-s>' },
  { name = 'fzf_lua', accept = 'default', fork = 'ctrl-f', rename = 'ctrl-r', search = 'ctrl-s' },
  { name = 'snacks', accept = '<CR>', fork = '<C-f>', rename = '<C-r>', search = '<C-s>' },
}

for _, keys in ipairs(plugins) do
  describe(('with %s a session'):format(keys.name), function()
    local fake = require('fakes.' .. keys.name)

    before_each(function()
      fake.shown = nil
      fake.install(S.folder())
      S.on_clean(fake.uninstall)
    end)

    local function pick(opts)
      fake.shown = nil
      require('codex.sessions').pick(opts)
      T.wait(function()
        return fake.shown
      end, 'the picker')
    end

    it('is shown, and opened', function()
      world()
      local id = saved('pick me')
      pick({ all = true })
      local buffer = fake.preview()
      T.wait(function()
        return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, true), '\n'):find('an answer')
      end, 'the preview')
      fake.press(keys.accept)
      T.wait(function()
        return #attached == 1
      end)
      T.eq(id, attached[1].id)
    end)

    it('is forked and renamed', function()
      world()
      local id = saved('pick me')
      pick()
      fake.press(keys.fork)
      T.wait(function()
        return #attached == 1
      end)
      T.eq(id, attached[1].info.forkedFrom)
      pick()
      fake.shown.selected = 2
      answer('renamed')
      local before = fake.shown
      fake.press(keys.rename)
      T.wait(function()
        return fake.shown ~= before
      end, 'the picker, once more')
      T.eq(true, vim.list_contains(titles(), 'renamed'))
    end)

    it('is searched for', function()
      world()
      saved('the parser')
      saved('the printer')
      pick()
      answer('parser')
      local before = fake.shown
      fake.press(keys.search)
      T.wait(function()
        return fake.shown ~= before
      end, 'the picker, once more')
      fake.press(keys.accept)
      T.wait(function()
        return #attached == 1
      end)
    end)
  end)
end

describe('the picker that is named in setup()', function()
  it('is replaced by vim.ui.select if it is not installed', function()
    world()
    saved('pick me')
    require('codex').setup({ sessions = { picker = 'telescope' } })
    vim.cmd('CodexSessions')
    noticed('telescope is not installed; vim.ui.select is used')
    T.wait(function()
      return #asked == 1
    end)
  end)
end)

describe('the screen', function()
  for _, size in ipairs({ { 100, 30 }, { 80, 24 } }) do
    it(('shows the sessions and one of them in %dx%d'):format(size[1], size[2]), function()
      world(S.shell({ 'bash', '-lc', 'pytest -q tests/test_parser.py' }))
      saved('Mend the parser: it loses the last line')
      saved(
        'Write a test for the printer, please, and see to it that all of its options are covered'
      )
      local child = Child.start({ columns = size[1], lines = size[2] })
      child:command('CodexSessions')
      child:wait_for_text('Mend the parser')
      child:dump(('sessions-%dx%d'):format(size[1], size[2]))
      child:type('2<CR>')
      child:wait_for_text('pytest -q')
      child:dump(('sessions-preview-%dx%d'):format(size[1], size[2]))
      child:type('q')
      child:type('<CR>')
    end)
  end
end)
