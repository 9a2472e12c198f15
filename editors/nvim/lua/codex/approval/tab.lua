-- The tab page of a review: two windows in diff mode, and a few lines below them.

local M = {}

---@class codex.approval.Tab
---@field tab integer
---@field old integer the window on the left
---@field new integer the window on the right
---@field panel integer the window below
---@field panel_buffer integer
---@field private before integer the tab page that one came from
---@field private closing boolean?
local Tab = {}
Tab.__index = Tab

local PANEL_OPTIONS = {
  winfixheight = true,
  number = false,
  relativenumber = false,
  signcolumn = 'no',
  foldcolumn = '0',
  wrap = false,
  list = false,
  statusline = ' ',
}

--- Show two buffers.
---@param old integer
---@param new integer
---@param labels {old: string, new: string}
---@param as_diff boolean
function Tab:show(old, new, labels, as_diff)
  local sides = { { self.old, old, labels.old }, { self.new, new, labels.new } }
  for _, side in ipairs(sides) do
    local window, buffer, label = unpack(side)
    vim.api.nvim_win_call(window, function()
      vim.cmd.diffoff()
      vim.api.nvim_win_set_buf(window, buffer)
      vim.wo[window][0].wrap = false
      vim.wo[window][0].winbar = ' ' .. label:gsub('%%', '%%%%')
      if as_diff then
        vim.cmd.diffthis()
      end
    end)
  end
  if as_diff then
    self:keep_folds()
  end
end

--- Have the folds stay as they are now: a hunk that is left out is no difference any more, and
--- would be folded away under the cursor.
---@private
function Tab:keep_folds()
  vim.cmd.diffupdate()
  for _, window in ipairs({ self.old, self.new }) do
    vim.api.nvim_win_call(window, function()
      vim.fn.foldlevel(1) -- makes Neovim work them out
      vim.wo[window][0].foldmethod = 'manual'
    end)
  end
end

--- The window of the two that the cursor is in; the right one if it is elsewhere.
---@return integer window, boolean is_old
function Tab:current()
  local is_old = vim.api.nvim_get_current_win() == self.old
  return is_old and self.old or self.new, is_old
end

--- The line of the cursor, counted from 0.
---@return integer
function Tab:line()
  return vim.api.nvim_win_get_cursor((self:current()))[1] - 1
end

--- Go to a line, counted from 0; one that is not there is the last.
---@param line integer
function Tab:go(line)
  local window = self:current()
  local last = vim.api.nvim_buf_line_count(vim.api.nvim_win_get_buf(window))
  vim.api.nvim_win_set_cursor(window, { math.min(line + 1, last), 0 })
  vim.api.nvim_win_call(window, function()
    vim.cmd('normal! zv')
  end)
end

---@param lines integer
function Tab:set_panel_height(lines)
  if vim.api.nvim_win_get_height(self.panel) ~= lines then
    vim.api.nvim_win_set_height(self.panel, lines)
  end
end

---@return boolean
function Tab:is_open()
  return vim.api.nvim_win_is_valid(self.old)
    and vim.api.nvim_win_is_valid(self.new)
    and vim.api.nvim_win_is_valid(self.panel)
end

---@return boolean
function Tab:has_focus()
  return vim.api.nvim_get_current_tabpage() == self.tab
end

--- Close it, and go back to where one came from.
function Tab:close()
  if self.closing then
    return
  end
  self.closing = true
  vim.api.nvim_clear_autocmds({ group = self.group })
  local had_focus = self:has_focus()
  if #vim.api.nvim_list_tabpages() == 1 then
    vim.cmd.tabnew() -- Neovim does not close its last window
  end
  for _, window in ipairs({ self.old, self.new, self.panel }) do
    if vim.api.nvim_win_is_valid(window) then
      vim.api.nvim_win_close(window, true)
    end
  end
  if had_focus and vim.api.nvim_tabpage_is_valid(self.before) then
    vim.api.nvim_set_current_tabpage(self.before)
  end
end

--- Open the tab page.
---@param old integer the buffer on the left
---@param new integer the buffer on the right
---@param on {closed: fun(), resized: fun()} closed: by the person
---@return codex.approval.Tab
function M.open(old, new, on)
  local self = setmetatable({ before = vim.api.nvim_get_current_tabpage() }, Tab)
  self.panel_buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[self.panel_buffer].bufhidden = 'wipe'
  vim.bo[self.panel_buffer].filetype = 'codex_review'
  vim.cmd('tab sbuffer ' .. old)
  self.old, self.tab = vim.api.nvim_get_current_win(), vim.api.nvim_get_current_tabpage()
  vim.cmd('rightbelow vertical sbuffer ' .. new)
  self.new = vim.api.nvim_get_current_win()
  vim.cmd('botright sbuffer ' .. self.panel_buffer)
  self.panel = vim.api.nvim_get_current_win()
  for option, value in pairs(PANEL_OPTIONS) do
    vim.wo[self.panel][0][option] = value
  end
  self.group = vim.api.nvim_create_augroup('codex.approval.tab.' .. self.tab, { clear = true })
  vim.api.nvim_create_autocmd('WinClosed', {
    group = self.group,
    callback = function(event)
      if vim.list_contains({ self.old, self.new, self.panel }, tonumber(event.match)) then
        vim.schedule(function()
          if not self.closing then
            on.closed()
          end
        end)
      end
    end,
  })
  vim.api.nvim_create_autocmd('VimResized', { group = self.group, callback = on.resized })
  vim.api.nvim_set_current_win(self.new)
  return self
end

return M
