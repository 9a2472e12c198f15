-- Picking with snacks.picker (folke/snacks.nvim).

local M = {}

---@return boolean
function M.is_there()
  local ok, snacks = pcall(require, 'snacks')
  return ok and snacks.picker ~= nil and snacks.picker.pick ~= nil
end

local KEYS = {
  fork = '<C-f>',
  rename = '<C-r>',
  archive = '<C-y>',
  export = '<C-e>',
  delete = '<M-x>',
}
local SEARCH = '<C-s>'

---@param list codex.sessions.List
---@param on codex.sessions.On
function M.show(list, on)
  local items = {}
  for i, entry in ipairs(list:entries(vim.o.columns > 120 and 60 or 72)) do
    table.insert(items, { idx = i, text = entry.text, entry = entry })
  end

  ---@param fn fun(entry: codex.sessions.Entry)
  local function of_chosen(fn)
    return function(picker, item)
      picker:close()
      if item then
        -- Behind the picker, which goes back to its window.
        vim.schedule(function()
          fn(item.entry)
        end)
      end
    end
  end

  local actions, keys = {}, {}
  for _, action in ipairs(require('codex.sessions.actions').offered) do
    local lhs = KEYS[action.name]
    if lhs then
      actions['codex_' .. action.name] = of_chosen(function(entry)
        on.act(action.name, entry)
      end)
      keys[lhs] = { 'codex_' .. action.name, mode = { 'n', 'i' }, desc = action.label }
    end
  end
  actions.codex_search = function(picker)
    picker:close()
    vim.schedule(on.search)
  end
  keys[SEARCH] = { 'codex_search', mode = { 'n', 'i' }, desc = 'search' }

  require('snacks').picker.pick({
    source = 'codex_sessions',
    title = list:heading(),
    items = items,
    format = 'text',
    sort = { fields = { 'score:desc', 'idx' } },
    preview = function(context)
      context.preview:reset()
      local session = context.item.entry.session
      if not session then
        return
      end
      local item = context.item
      require('codex.sessions.preview').read(list.server, session, function(lines)
        -- Meanwhile it may show another one, or be closed.
        if context.preview.item == item and context.preview.win:valid() then
          context.preview:set_lines(lines)
          context.preview:highlight({ ft = 'markdown' })
        end
      end)
    end,
    confirm = of_chosen(on.choose),
    actions = actions,
    win = { input = { keys = keys }, list = { keys = keys } },
  })
end

return M
