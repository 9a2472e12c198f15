-- The window in which a person types: a buffer that is sent as a whole.

local M = {}

local api = vim.api
local namespace = api.nvim_create_namespace('codex.chat.input')

---@class codex.chat.Input
---@field buffer integer?
---@field private view codex.chat.View
---@field private recall codex.chat.Recall
local Input = {}
Input.__index = Input

---@param view codex.chat.View
---@return codex.chat.Input
function M.new(view)
  local recall = require('codex.chat.recall').new()
  return setmetatable({ view = view, recall = recall }, Input)
end

---@return string
function Input:text()
  if not self.buffer then
    return ''
  end
  return table.concat(api.nvim_buf_get_lines(self.buffer, 0, -1, false), '\n')
end

---@param text string
function Input:set(text)
  local buffer = self:ensure()
  api.nvim_buf_set_lines(buffer, 0, -1, false, vim.split(text, '\n', { plain = true }))
  for _, window in ipairs(vim.fn.win_findbuf(buffer)) do
    local last = api.nvim_buf_line_count(buffer)
    local line = api.nvim_buf_get_lines(buffer, last - 1, last, false)[1]
    api.nvim_win_set_cursor(window, { last, #line })
  end
end

--- Put a text in front of what is there.
---@param text string
function Input:prepend(text)
  local now = self:text()
  self:set(now:find('%S') and text .. '\n' .. now or text)
end

--- Send what is there.
function Input:send()
  local text = vim.trim(self:text())
  if text == '' then
    return
  end
  self.recall:add(text)
  self:set('')
  self.view:send(require('codex.chat.items').of_text(text, self.view.root), text)
end

---@private
---@param text string?
function Input:show(text)
  if text then
    self:set(text)
  end
end

--- What a key does at the first or the last line of the text, and else.
---@private
---@param key string
---@param is_edge fun(): boolean
---@param run fun()
function Input:map_edge(key, is_edge, run)
  vim.keymap.set({ 'n', 'i' }, key, function()
    if vim.fn.pumvisible() == 0 and is_edge() then
      vim.schedule(run)
      return ''
    end
    return key
  end, { buffer = self.buffer, expr = true, desc = 'codex: what was said before' })
end

---@private
function Input:map()
  local function map(modes, key, run, desc)
    vim.keymap.set(
      modes,
      key,
      run,
      { buffer = self.buffer, nowait = true, desc = 'codex: ' .. desc }
    )
  end
  local function send()
    self:send()
  end
  local chat = require('codex.chat')
  map('n', '<CR>', send, 'send')
  map({ 'n', 'i' }, '<C-s>', send, 'send')
  map('n', '<C-c>', chat.stop, 'stop the turn')
  map('i', '<C-c>', function()
    vim.cmd.stopinsert()
    if self.view:is_running() then
      chat.stop()
    end
  end, 'stop the turn, else leave insert mode')
  map('n', 'q', chat.close, 'close the chat')
  map({ 'n', 'i' }, '<PageUp>', function()
    require('codex.chat.tails').scroll(self.view.buffer, '\21')
  end, 'scroll the chat up')
  map({ 'n', 'i' }, '<PageDown>', function()
    require('codex.chat.tails').scroll(self.view.buffer, '\4')
  end, 'scroll the chat down')
  map('n', 'g?', '<Cmd>help codex-chat-keys<CR>', 'help')
  self:map_edge('<Up>', function()
    return vim.fn.line('.') == 1
  end, function()
    self:show(self.recall:older(self:text(), self.view.session, function(text)
      self:set(text)
    end))
  end)
  self:map_edge('<Down>', function()
    return vim.fn.line('.') == vim.fn.line('$')
  end, function()
    self:show(self.recall:newer())
  end)
end

--- Say in an empty window what can be done there.
---@private
function Input:hint()
  local buffer = self.buffer
  api.nvim_buf_clear_namespace(buffer, namespace, 0, -1)
  if api.nvim_buf_line_count(buffer) == 1 and self:text() == '' then
    api.nvim_buf_set_extmark(buffer, namespace, 0, 0, {
      virt_text = { { 'Ask codex; @ names a file', 'CodexHint' } },
      virt_text_pos = 'overlay',
    })
  end
end

--- Its buffer, a new one if the old one was wiped out.
---@return integer
function Input:ensure()
  if self.buffer then
    return self.buffer
  end
  local buffer = api.nvim_create_buf(false, true)
  self.buffer = buffer
  pcall(api.nvim_buf_set_name, buffer, ('codex://input/%d'):format(buffer))
  vim.bo[buffer].bufhidden = 'hide'
  vim.bo[buffer].swapfile = false
  vim.bo[buffer].textwidth = 0
  self:map()
  require('codex.chat.complete').attach(buffer, self.view.root)
  vim.bo[buffer].filetype = 'codex_input'
  require('codex.chat.highlights').markdown(buffer)
  local group = api.nvim_create_augroup('codex.chat.input.' .. buffer, { clear = true })
  api.nvim_create_autocmd({ 'TextChanged', 'TextChangedI', 'TextChangedP' }, {
    group = group,
    buffer = buffer,
    callback = function()
      self:hint()
    end,
  })
  api.nvim_buf_attach(buffer, false, {
    on_lines = function()
      vim.schedule(function()
        if self.buffer == buffer then
          self:hint()
        end
      end)
      return self.buffer ~= buffer
    end,
  })
  api.nvim_create_autocmd('BufWipeout', {
    group = group,
    buffer = buffer,
    callback = function()
      self.buffer = nil
    end,
  })
  self:hint()
  return buffer
end

return M
