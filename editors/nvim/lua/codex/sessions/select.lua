-- Picking with `vim.ui.select`, and a floating window that shows the session before anything is
-- done with it.

local M = {}

---@return boolean
function M.is_there()
  return true
end

--- As many as fit the screen: Neovim's own select lists them all, and would ask for a key.
---@return integer
function M.limit()
  return math.max(5, vim.o.lines - 8)
end

---@param list codex.sessions.List
---@param on codex.sessions.On
function M.show(list, on)
  local entries = list:entries(vim.o.columns - 8)
  vim.ui.select(entries, {
    prompt = list:heading() .. ':',
    kind = 'codex.session',
    format_item = function(entry)
      return entry.text
    end,
  }, function(entry)
    if entry and entry.session then
      M.preview(list, entry, on)
    elseif entry then
      on.choose(entry)
    end
  end)
end

---@param columns integer
---@return {[1]: string, [2]: string}[]
local function footer(columns)
  local gap = columns > 90 and '   ' or '  '
  local chunks = { { ' ', 'FloatFooter' } }
  local function add(key, label)
    table.insert(chunks, { key, 'Special' })
    table.insert(chunks, { (' %s%s'):format(label, gap), 'FloatFooter' })
  end
  for _, action in ipairs(require('codex.sessions.actions').offered) do
    add(action.key, action.label)
  end
  add('q', 'back')
  return chunks
end

--- Show what a session was about, with keys for what can be done with it.
---@param list codex.sessions.List
---@param entry codex.sessions.Entry
---@param on codex.sessions.On
function M.preview(list, entry, on)
  local session = assert(entry.session)
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].filetype = 'codex_preview'
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, { '…' })
  local width = math.min(110, math.max(40, vim.o.columns - 6))
  local height = math.max(5, math.floor(vim.o.lines * 0.8) - 2)
  local window = vim.api.nvim_open_win(buffer, true, {
    relative = 'editor',
    style = 'minimal',
    border = require('codex.config').get().approval.border,
    title = { { ' codex: a saved session ', 'FloatTitle' } },
    footer = footer(width),
    width = width,
    height = height,
    row = math.max(0, math.floor((vim.o.lines - height - 3) / 2)),
    col = math.floor((vim.o.columns - width - 2) / 2),
  })
  vim.wo[window][0].wrap = true
  vim.wo[window][0].linebreak = true
  vim.wo[window][0].conceallevel = 2
  vim.wo[window][0].statuscolumn = ' '
  require('codex.sessions.preview').fill(list.server, session, buffer)

  local function map(lhs, label, fn)
    vim.keymap.set('n', lhs, function()
      vim.api.nvim_win_close(window, true)
      fn()
    end, { buffer = buffer, nowait = true, desc = 'codex: ' .. label })
  end
  for _, action in ipairs(require('codex.sessions.actions').offered) do
    map(action.key, action.label, function()
      on.act(action.name, entry)
    end)
  end
  map('<CR>', 'resume', function()
    on.choose(entry)
  end)
  for _, lhs in ipairs({ 'q', '<Esc>' }) do
    map(lhs, 'back to the list', function()
      M.show(list, on)
    end)
  end
  map('/', 'search', on.search)
end

return M
