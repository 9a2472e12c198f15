-- :CodexDiff: all that the turn has changed, as one diff, for as long as it is open up to date.

local M = {}

---@param buffer integer
---@param text string
local function write(buffer, text)
  vim.bo[buffer].modifiable = true
  vim.api.nvim_buf_set_lines(
    buffer,
    0,
    -1,
    false,
    vim.split(text:gsub('\n$', ''), '\n', { plain = true })
  )
  vim.bo[buffer].modifiable = false
end

--- A buffer with the diff of a session, that of before if it is there still.
---@param session codex.Session
---@return integer
local function buffer_of(session)
  local name = 'codex://diff/' .. session.id
  local buffer = vim.fn.bufnr('^' .. name .. '$')
  if buffer ~= -1 then
    return buffer
  end
  buffer = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_name(buffer, name)
  vim.bo[buffer].bufhidden = 'wipe'
  vim.bo[buffer].swapfile = false
  vim.bo[buffer].filetype = 'diff'
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buffer, nowait = true, desc = 'close' })
  local off = session:subscribe(function(msg)
    if msg.type == 'turn_diff' and vim.api.nvim_buf_is_valid(buffer) then
      write(buffer, msg.unified_diff)
    end
  end)
  vim.api.nvim_create_autocmd('BufWipeout', { buffer = buffer, once = true, callback = off })
  return buffer
end

--- Show what the last turn of the current session has changed.
function M.open()
  local session = require('codex.sessions_open').current()
  local notify = require('codex.notify')
  if not session then
    notify.info('there is no session here; :Codex begins one, :CodexResume opens an older one')
    return
  end
  local diff = session.turn_diff
  if not diff or diff == '' then
    notify.info('the turn has changed no files')
    return
  end
  local buffer = buffer_of(session)
  write(buffer, diff)
  local window = vim.fn.bufwinid(buffer)
  if window ~= -1 then
    vim.api.nvim_set_current_win(window)
  else
    vim.cmd('tab sbuffer ' .. buffer)
  end
end

return M
