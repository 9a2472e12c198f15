-- Picking with Telescope (nvim-telescope/telescope.nvim).

local M = {}

---@return boolean
function M.is_there()
  return (pcall(require, 'telescope.pickers'))
end

local KEYS = {
  fork = '<C-f>',
  rename = '<C-r>',
  archive = '<C-a>',
  export = '<C-e>',
  delete = '<M-d>',
}
local SEARCH = '<C-s>'

---@param list codex.sessions.List
local function previewer(list)
  return require('telescope.previewers').new_buffer_previewer({
    title = 'Session',
    define_preview = function(self, entry)
      local session = entry.value.session
      if not session then
        return
      end
      local buffer, window = self.state.bufnr, self.state.winid
      require('codex.sessions.preview').fill(list.server, session, buffer, function()
        if vim.api.nvim_win_is_valid(window) then
          vim.wo[window][0].wrap = true
        end
      end)
    end,
  })
end

---@param list codex.sessions.List
---@param on codex.sessions.On
function M.show(list, on)
  local actions = require('telescope.actions')
  local state = require('telescope.actions.state')
  local config = require('telescope.config').values

  --- Close the picker, then do something with what was chosen.
  ---@param prompt integer
  ---@param fn fun(entry: codex.sessions.Entry)
  local function with_chosen(prompt, fn)
    local chosen = state.get_selected_entry()
    actions.close(prompt)
    if chosen then
      fn(chosen.value)
    end
  end

  require('telescope.pickers')
    .new({}, {
      prompt_title = list:heading(),
      finder = require('telescope.finders').new_table({
        results = list:entries(vim.o.columns > 120 and 60 or 72),
        entry_maker = function(entry)
          return { value = entry, display = entry.text, ordinal = entry.text }
        end,
      }),
      sorter = config.generic_sorter({}),
      previewer = previewer(list),
      attach_mappings = function(prompt, map)
        actions.select_default:replace(function()
          with_chosen(prompt, on.choose)
        end)
        for name, lhs in pairs(KEYS) do
          map({ 'i', 'n' }, lhs, function()
            with_chosen(prompt, function(entry)
              on.act(name, entry)
            end)
          end, { desc = 'codex_' .. name })
        end
        map({ 'i', 'n' }, SEARCH, function()
          actions.close(prompt)
          on.search()
        end, { desc = 'codex_search' })
        return true
      end,
    })
    :find()
end

return M
