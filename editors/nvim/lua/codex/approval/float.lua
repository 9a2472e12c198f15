-- A question in a floating window, with the keys that answer it.

local M = {}

---@class codex.approval.Key
---@field keys string[]
---@field label string? what the footer says; none: it is not shown
---@field run fun()

---@class codex.approval.Float
---@field window integer
---@field buffer integer
---@field private keys codex.approval.Key[]
---@field private armed_at number
---@field private on_close fun()
---@field private closing boolean?
local Float = {}
Float.__index = Float

local namespace = vim.api.nvim_create_namespace('codex.approval')

--- The footer: keys and what they do; the less room, the fewer spaces.
---@param keys codex.approval.Key[]
---@param width integer
---@return {[1]: string, [2]: string}[]
local function footer(keys, width)
  for _, gap in ipairs({ '   ', '  ', ' ' }) do
    local chunks, length = {}, 0
    for _, key in ipairs(keys) do
      if key.label then
        local label = (' %s%s'):format(key.label, gap)
        vim.list_extend(chunks, { { key.keys[1], 'Special' }, { label, 'FloatFooter' } })
        length = length + vim.fn.strdisplaywidth(key.keys[1] .. label)
      end
    end
    if length + 1 <= width or gap == ' ' then
      table.insert(chunks, 1, { ' ', 'FloatFooter' })
      return chunks
    end
  end
  return {}
end

--- Colour what is in another language by its syntax file: a grammar of treesitter's for shells is
--- not part of Neovim.
---@param buffer integer
---@param code {first: integer, last: integer, syntax: string}?
local function colour(buffer, code)
  vim.api.nvim_buf_call(buffer, function()
    vim.cmd('syntax clear')
    if not code then
      return
    end
    vim.b.current_syntax = nil
    if code.syntax == 'sh' then
      vim.b.is_bash = 1
    end
    pcall(vim.cmd, ('syntax include @codexCode syntax/%s.vim'):format(code.syntax))
    local region =
      'syntax region codexCode start="\\%%%dl^" end="\\%%%dl$" keepend contains=@codexCode'
    vim.cmd(region:format(code.first, code.last))
    vim.b.current_syntax = 'codex'
  end)
end

--- Show the words of a question.
---@param text codex.approval.Text
---@param note string? behind the title, such as "1 of 2"
function Float:show(text, note)
  vim.bo[self.buffer].modifiable = true
  vim.api.nvim_buf_set_lines(self.buffer, 0, -1, false, text.lines)
  vim.bo[self.buffer].modifiable = false
  vim.api.nvim_buf_clear_namespace(self.buffer, namespace, 0, -1)
  for _, label in ipairs(text.labels) do
    local group = label.warn and 'WarningMsg' or 'Comment'
    vim.api.nvim_buf_set_extmark(self.buffer, namespace, label.line - 1, 0, {
      end_col = label.width,
      hl_group = group,
    })
  end
  colour(self.buffer, text.code)
  self.text, self.note = text, note
  self:place()
end

--- Fit the window to its text and the screen.
---@private
function Float:place()
  local longest = vim.fn.strdisplaywidth(self.text.title) + 8
  for _, line in ipairs(self.text.lines) do
    longest = math.max(longest, vim.fn.strdisplaywidth(line))
  end
  local room = vim.o.columns - 4
  local width = math.min(room, math.max(math.min(74, room), math.min(longest + 2, 110)))
  local note = self.note and (' (%s)'):format(self.note) or ''
  local config = {
    relative = 'editor',
    style = 'minimal',
    border = require('codex.config').get().approval.border,
    title = { { (' codex: %s%s '):format(self.text.title, note), 'FloatTitle' } },
    footer = footer(self.keys, width),
    width = width,
    height = 1,
    row = 0,
    col = math.max(0, math.floor((vim.o.columns - width - 2) / 2)),
    zindex = 60,
  }
  if config.border == 'none' then
    config.title, config.footer = nil, nil
  end
  if self.window then
    vim.api.nvim_win_set_config(self.window, config)
  else
    self.window = vim.api.nvim_open_win(self.buffer, true, config)
    vim.wo[self.window][0].wrap = true
    vim.wo[self.window][0].linebreak = true
    vim.wo[self.window][0].breakindent = true
    vim.wo[self.window][0].conceallevel = 0
    -- Continued lines of a row begin under its text, as those of a list do.
    local labels = table.concat(require('codex.approval.text').LABELS, [[\|]])
    vim.bo[self.buffer].formatlistpat = ([[^ \%%(%s\) \+]]):format(labels)
    vim.wo[self.window][0].breakindentopt = 'list:-1'
  end
  local most = math.max(1, math.floor((vim.o.lines - 4) * 0.8))
  local height = math.min(most, vim.api.nvim_win_text_height(self.window, {}).all)
  config.height = math.max(1, height)
  config.row = math.max(0, math.floor((vim.o.lines - height - 4) / 2))
  vim.api.nvim_win_set_config(self.window, config)
end

--- Have its keys count from now on, or after a while: what is typed into a window that has just
--- come up was meant for another one.
---@param after_ms integer?
function Float:arm(after_ms)
  self.armed_at = vim.uv.now() + (after_ms or 0)
end

--- Change what is behind the title.
---@param note string?
function Float:set_note(note)
  if self:is_open() then
    self.note = note
    self:place()
  end
end

function Float:focus()
  vim.api.nvim_set_current_win(self.window)
end

---@return boolean
function Float:is_open()
  return vim.api.nvim_win_is_valid(self.window)
end

---@return boolean
function Float:has_focus()
  return vim.api.nvim_get_current_win() == self.window
end

--- Close it, without `on_close`.
function Float:close()
  self.closing = true
  if self:is_open() then
    local back = self:has_focus() and self.before
    vim.api.nvim_win_close(self.window, true)
    if back and vim.api.nvim_win_is_valid(back) then
      vim.api.nvim_set_current_win(back)
    end
  end
end

--- Open a floating window, with the cursor in it.
---@param text codex.approval.Text
---@param keys codex.approval.Key[]
---@param on_close fun() when the person closes it
---@param note string?
---@return codex.approval.Float
function M.open(text, keys, on_close, note)
  local self = setmetatable({ keys = keys, armed_at = 0, on_close = on_close }, Float)
  self.before = vim.api.nvim_get_current_win()
  self.buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[self.buffer].bufhidden = 'wipe'
  vim.bo[self.buffer].undolevels = -1
  vim.bo[self.buffer].filetype = 'codex_approval'
  self:show(text, note)
  for _, key in ipairs(keys) do
    for _, lhs in ipairs(key.keys) do
      vim.keymap.set('n', lhs, function()
        if vim.uv.now() >= self.armed_at then
          key.run()
        end
      end, { buffer = self.buffer, nowait = true, desc = key.label })
    end
  end
  vim.api.nvim_create_autocmd('WinClosed', {
    pattern = tostring(self.window),
    once = true,
    callback = function()
      if not self.closing then
        self.on_close()
      end
    end,
  })
  vim.api.nvim_create_autocmd('VimResized', {
    buffer = self.buffer,
    callback = function()
      if self:is_open() then
        self:place()
      end
    end,
  })
  return self
end

return M
