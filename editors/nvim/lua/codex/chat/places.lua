-- From the transcript to what it is about: files, and what is left out.

local M = {}

local api = vim.api

--- The window for a file: the one that was used last and has no part of the chat, else a new one.
---@return integer window
function M.window()
  local windows = { vim.fn.win_getid(vim.fn.winnr('#')) }
  vim.list_extend(windows, api.nvim_tabpage_list_wins(0))
  for _, window in ipairs(windows) do
    if window ~= 0 and api.nvim_win_is_valid(window) then
      local buffer = api.nvim_win_get_buf(window)
      local is_plain = api.nvim_win_get_config(window).relative == ''
        and vim.bo[buffer].buftype == ''
        and not vim.wo[window].winfixbuf
      if is_plain then
        return window
      end
    end
  end
  return api.nvim_open_win(0, false, { split = 'left', win = -1 })
end

--- Open a file, where the cursor was in it unless a line is given.
---@param place codex.chat.Place
function M.open(place)
  local window = M.window()
  api.nvim_set_current_win(window)
  local buffer = vim.fn.bufadd(place.path)
  vim.bo[buffer].buflisted = true
  local ok, problem = pcall(vim.cmd.buffer, buffer)
  if not ok then
    -- Its window has changes, and 'hidden' is off; or the person has said no.
    ok, problem = pcall(vim.cmd.sbuffer, buffer)
  end
  if not ok then
    require('codex.notify').error(
      tostring(problem):gsub('^.-:(E%d+)', '%1'),
      'The file cannot be shown'
    )
  elseif place.line then
    local last = api.nvim_buf_line_count(buffer)
    api.nvim_win_set_cursor(0, { math.max(1, math.min(place.line, last)), 0 })
    vim.cmd.normal({ 'zvzz', bang = true })
  end
end

--- The file whose name is under the cursor, with the line behind it.
---@param folder string
---@return codex.chat.Place?
function M.under_cursor(folder)
  local line, column = api.nvim_get_current_line(), api.nvim_win_get_cursor(0)[2] + 1
  for from, word, to in line:gmatch('()([^%s`"\'%(%)<>%[%]]+)()') do
    if column >= from and column < to then
      word = word:gsub('^@', '')
      while word ~= '' do
        local name, number = word:match('^(.-):(%d+)')
        for _, try in ipairs({ { word }, { name, number } }) do
          local path = try[1] and try[1] ~= '' and vim.fs.normalize(try[1])
          if path and not path:find('^/') and not path:find('^%a:/') then
            path = vim.fs.joinpath(folder, path)
          end
          local stat = path and vim.uv.fs_stat(path)
          if stat and stat.type == 'file' then
            return { path = path, line = tonumber(try[2]) }
          end
        end
        word = word:match('^(.*)%p$') or ''
      end
    end
  end
end

--- Lines in a window of their own, to be searched and copied.
---@param name string
---@param lines string[]
---@param filetype string
function M.show(name, lines, filetype)
  local buffer = api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = 'wipe'
  pcall(api.nvim_buf_set_name, buffer, ('codex://output/%d/%s'):format(buffer, name))
  api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  vim.bo[buffer].modifiable = false
  vim.bo[buffer].filetype = filetype
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buffer, nowait = true, desc = 'close' })
  vim.cmd('tab sbuffer ' .. buffer)
end

return M
