-- Windows that show the end of a transcript go on doing so when something is added; those in which
-- somebody is reading stay where they are.

local M = {}

local api = vim.api

--- The windows that show the end of a buffer.
---@param buffer integer
---@return integer[]
function M.at_end(buffer)
  local windows = {}
  local last = api.nvim_buf_line_count(buffer)
  for _, window in ipairs(vim.fn.win_findbuf(buffer)) do
    local row = api.nvim_win_get_cursor(window)[1]
    local at_end = row == last
      or api.nvim_win_call(window, function()
        return vim.fn.foldclosedend(row) == last
      end)
    local is_current = window == api.nvim_get_current_win()
    if at_end and (not is_current or api.nvim_get_mode().mode == 'n') then
      table.insert(windows, window)
    end
  end
  return windows
end

--- Have a window show the end of a buffer, if it shows the buffer.
---@param window integer
---@param buffer integer
function M.show_end(window, buffer)
  if not api.nvim_win_is_valid(window) or api.nvim_win_get_buf(window) ~= buffer then
    return
  end
  local last = api.nvim_buf_line_count(buffer)
  local line = api.nvim_buf_get_lines(buffer, last - 1, last, false)[1]
  api.nvim_win_set_cursor(window, { last, math.max(0, #line - 1) })
  api.nvim_win_call(window, function()
    vim.cmd('normal! zb')
  end)
end

--- Scroll the windows of this tab page that show a buffer, from another one.
---@param buffer integer?
---@param key string
function M.scroll(buffer, key)
  for _, window in ipairs(api.nvim_tabpage_list_wins(0)) do
    if api.nvim_win_get_buf(window) == buffer then
      api.nvim_win_call(window, function()
        vim.cmd('normal! ' .. key)
      end)
    end
  end
end

return M
