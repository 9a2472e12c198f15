-- Picking with fzf-lua (ibhagwan/fzf-lua).

local M = {}

---@return boolean
function M.is_there()
  return (pcall(require, 'fzf-lua')) and vim.fn.executable('fzf') + vim.fn.executable('sk') > 0
end

local KEYS = {
  fork = 'ctrl-f',
  rename = 'ctrl-r',
  archive = 'ctrl-y',
  export = 'ctrl-e',
  delete = 'alt-d',
}
local SEARCH = 'ctrl-s'

--- A line begins with its number, which is not shown: two sessions may have the same line.
---@param line string?
---@param entries codex.sessions.Entry[]
---@return codex.sessions.Entry?
local function entry_of(line, entries)
  return entries[tonumber((line or ''):match('^(%d+)\t'))]
end

---@param list codex.sessions.List
---@param entries codex.sessions.Entry[]
local function previewer(list, entries)
  local Previewer = require('fzf-lua.previewer.builtin').base:extend()

  function Previewer:new(...)
    Previewer.super.new(self, ...)
    setmetatable(self, Previewer)
    return self
  end

  function Previewer:populate_preview_buf(line)
    local entry = entry_of(line, entries)
    local buffer = self:get_tmp_buffer()
    if entry and entry.session then
      require('codex.sessions.preview').fill(list.server, entry.session, buffer)
    end
    self:set_preview_buf(buffer)
  end

  function Previewer:gen_winopts()
    return vim.tbl_extend('force', self.winopts or {}, { wrap = true, number = false })
  end

  return Previewer
end

---@param list codex.sessions.List
---@param on codex.sessions.On
function M.show(list, on)
  local entries = list:entries(vim.o.columns > 120 and 60 or 72)
  local lines = {}
  for i, entry in ipairs(entries) do
    table.insert(lines, ('%d\t%s'):format(i, entry.text))
  end

  ---@param fn fun(entry: codex.sessions.Entry)
  local function of_chosen(fn)
    return function(selected)
      local entry = entry_of(selected and selected[1], entries)
      if entry then
        fn(entry)
      end
    end
  end

  local actions = { default = of_chosen(on.choose), [SEARCH] = on.search }
  local header = { 'enter: resume' }
  for _, action in ipairs(require('codex.sessions.actions').offered) do
    local key = KEYS[action.name]
    if key then
      actions[key] = of_chosen(function(entry)
        on.act(action.name, entry)
      end)
      table.insert(header, ('%s: %s'):format(key, action.label))
    end
  end
  require('fzf-lua').fzf_exec(lines, {
    prompt = list:heading() .. '> ',
    previewer = previewer(list, entries),
    actions = actions,
    fzf_opts = {
      ['--delimiter'] = '\t',
      ['--with-nth'] = '2..',
      ['--no-multi'] = true,
      ['--header'] = table.concat(header, '  '),
    },
  })
end

return M
