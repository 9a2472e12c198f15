local Child = require('child')
local S = require('support')

--- Answer what `vim.ui.select` and `vim.ui.input` ask; what was asked.
local function answers(...)
  local queue, asked = { ... }, {}
  local select, input = vim.ui.select, vim.ui.input
  vim.ui.select = function(items, opts, callback)
    local texts = vim.tbl_map(opts.format_item or tostring, items)
    table.insert(asked, { prompt = opts.prompt, items = texts })
    local answer = table.remove(queue, 1)
    for i, text in ipairs(texts) do
      if answer and text:find(answer, 1, true) then
        return callback(items[i], i)
      end
    end
    callback(nil)
  end
  vim.ui.input = function(opts, callback)
    table.insert(asked, { prompt = opts.prompt, default = opts.default })
    callback(table.remove(queue, 1))
  end
  S.on_clean(function()
    vim.ui.select, vim.ui.input = select, input
  end)
  return asked
end

local notices
before_each(function()
  notices = {}
  local notify = vim.notify
  vim.notify = function(text)
    table.insert(notices, text)
  end
  S.on_clean(function()
    vim.notify = notify
  end)
end)

local function noticed(part)
  T.wait(function()
    return table.concat(notices, '\n'):find(part, 1, true)
  end, function()
    return part .. ' in ' .. vim.inspect(notices)
  end)
end

--- The model that the n-th request asks for.
local function wait_model(world, n)
  return T.wait(function()
    local request = world.model:requests()[n]
    return request and request.model
  end, 'a request to the model')
end

describe(':CodexModel', function()
  it('has the named model answer from the next turn on', function()
    local world = S.world({ S.text('one') })
    local session = S.session()
    vim.cmd('CodexModel gpt-other')
    noticed('gpt-other answers from the next turn on')
    T.eq('gpt-other', session.info.model)
    session:send(S.says('hi'))
    T.eq('gpt-other', wait_model(world, 1))
  end)

  it('lists the models that were used before, and takes any other name', function()
    local world = S.world({ S.text('one'), S.text('two') })
    local session = S.session({ model = 'gpt-before' })
    local events = S.events(session)
    session:send(S.says('hi'))
    S.wait_event(events, 'task_complete')
    S.session({ model = 'gpt-now' })
    local asked = answers('another one', 'gpt-typed')
    vim.cmd('CodexModel')
    noticed('gpt-typed answers')
    T.eq({ 'gpt-now  (now)', 'gpt-before', 'another one …' }, asked[1].items)
    T.has('provider loopback', asked[1].prompt)
    require('codex.sessions_open').current():send(S.says('hi'))
    T.eq('gpt-typed', wait_model(world, 2))
  end)

  it('begins a session if there is none', function()
    S.world({ S.text('one') })
    vim.cmd('CodexModel gpt-other')
    noticed('gpt-other answers')
    T.eq('gpt-other', require('codex.sessions_open').current().info.model)
  end)
end)

describe(':CodexPolicy', function()
  it('says what each means, and which one counts', function()
    S.world({ S.text('one') }, { config = { approval_policy = 'on-request' } })
    local session = S.session()
    local asked = answers('untrusted')
    vim.cmd('CodexPolicy')
    noticed('from the next turn on untrusted: ask before all but commands that only read')
    local items = table.concat(asked[1].items, '\n')
    T.has('on-request          ask when the model says so  (now)', items)
    T.has('danger-full-access  no sandbox: whatever you may  (now)', items)
    T.eq(7, #asked[1].items)
    T.eq('untrusted', session.info.approvalPolicy)
  end)

  it('counts from the next turn on', function()
    S.world({ S.shell({ 'touch', 'x' }), S.text('one') })
    local session = S.session()
    local events = S.events(session)
    vim.cmd('CodexPolicy untrusted')
    noticed('untrusted')
    session:send(S.says('go'))
    local request = S.wait_event(events, 'exec_approval_request')
    session:answer(request.call_id, 'denied')
    S.wait_event(events, 'task_complete')
  end)

  it('changes the sandbox too', function()
    S.world({ S.shell({ 'touch', 'x' }), S.text('one') })
    local session = S.session()
    vim.cmd('CodexPolicy read-only')
    noticed('commands may read all, and write nothing')
    T.eq('read-only', session.info.sandboxPolicy.mode)
  end)

  it('knows no other names', function()
    S.world({})
    vim.cmd('CodexPolicy sometimes')
    noticed('there is no policy "sometimes"; there are untrusted, on-failure')
  end)
end)

describe(':CodexDiff', function()
  it('shows all that the turn has changed, and keeps up with it', function()
    S.world({
      S.patch('*** Add File: a.txt', '+one'),
      S.text('done'),
      S.patch('*** Update File: a.txt', '@@', '-one', '+two'),
      S.text('done'),
    })
    local session = S.session()
    local events = S.events(session)
    vim.cmd('CodexDiff')
    noticed('the turn has changed no files')
    session:send(S.says('go'))
    S.wait_event(events, 'task_complete')
    vim.cmd('CodexDiff')
    T.eq('diff', vim.bo.filetype)
    T.has('+one', table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\n'))
    T.eq(2, #vim.api.nvim_list_tabpages())
    session:send(S.says('go'))
    S.wait_event(events, 'task_complete', 2)
    T.has('+two', table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, true), '\n'))
    vim.cmd('CodexDiff')
    T.eq(2, #vim.api.nvim_list_tabpages())
  end)

  it('says what to do if there is no session', function()
    S.world({})
    vim.cmd('CodexDiff')
    noticed(':Codex begins one')
  end)

  it('looks like a diff', function()
    S.world({ S.patch('*** Add File: a.txt', '+one'), S.text('done') })
    local child = Child.start({ columns = 80, lines = 24 })
    child:lua([[
      require('codex.session').configure(require('codex.server').get(), {}, function(_, session)
        session:send({ { type = 'text', text = 'go' } })
        session:subscribe(function(msg)
          _G.done = _G.done or msg.type == 'task_complete'
        end)
      end)
    ]])
    child:wait('_G.done')
    child:command('CodexDiff')
    T.has('+++ b/a.txt', child:wait_for_text('+one'))
    child:dump('diff-80x24')
    child:type('q')
    T.eq(1, child:lua('return #vim.api.nvim_list_tabpages()'))
  end)
end)
