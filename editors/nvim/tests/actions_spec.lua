local S = require('support')

--- Choose one of the code actions for a selection, as a person does; its title is matched plainly.
local function choose(title)
  local titles = {}
  vim.ui.select = function(items, _, chosen) ---@diagnostic disable-line: duplicate-set-field
    for _, item in ipairs(items) do
      table.insert(titles, item.action.title)
      if item.action.title:find(title, 1, true) then
        chosen(item)
      end
    end
  end
  vim.lsp.buf.code_action({ range = { start = { 1, 0 }, ['end'] = { 2, 2 } } })
  T.wait(function()
    return #titles > 0
  end, 'the code actions')
  return titles
end

describe('the code actions', function()
  local shown
  local ui_select, ui_input = vim.ui.select, vim.ui.input

  before_each(function()
    shown = nil
    package.loaded['codex.chat'] = {
      attach = function(session)
        shown = session
      end,
    }
    S.on_clean(function()
      vim.ui.select, vim.ui.input = ui_select, ui_input
      package.loaded['codex.chat'] = nil
    end)
  end)

  local function world()
    local here = S.world({ S.text('done') }, { files = { ['a.py'] = 'one\ntwo\nthree\n' } })
    vim.cmd.edit('a.py')
    local server = require('codex.server').get()
    T.wait(function()
      return server.state == 'ready'
    end, 'the server')
    return here
  end

  it('are run in a session of the chat, which is shown', function()
    local here = world()
    local titles = choose('Codex: Explain')
    T.eq(true, vim.list_contains(titles, 'Codex: Add tests'))
    T.wait(function()
      return shown and shown.status == 'idle' and #here.model:requests() == 1
    end, 'the turn')
    T.has('one\\ntwo', vim.json.encode(here.model:requests()[1]))
    T.eq(shown.id, require('codex.sessions_open').current().id)
    T.eq(1, #require('codex.sessions_open').all())
  end)

  it('ask for the question of "Ask…"', function()
    local here = world()
    local session = S.session()
    local events = S.events(session)
    vim.ui.input = function(_, answered) ---@diagnostic disable-line: duplicate-set-field
      answered('what is it?')
    end
    choose('Codex: Ask')
    S.wait_event(events, 'task_complete')
    T.has('what is it?', vim.json.encode(here.model:requests()[1]))
    T.eq(session.id, shown.id)
  end)

  it('do nothing if the person does not ask after all', function()
    local here = world()
    local session = S.session()
    local asked
    vim.ui.input = function(_, answered) ---@diagnostic disable-line: duplicate-set-field
      asked = true
      answered(nil)
    end
    choose('Codex: Ask')
    T.wait(function()
      return asked
    end, 'the question')
    T.eq({}, here.model:requests())
    T.eq('idle', session.status)
    T.eq(nil, shown)
  end)
end)
