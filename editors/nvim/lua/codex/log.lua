-- The log that :CodexLog opens: starts, ends and errors, and what the server writes to stderr.

local M = {}

local MAX_BYTES = 4 * 1024 * 1024

--- Where the log is.
---@return string
function M.path()
  return vim.fn.stdpath('log') .. '/codex.log'
end

--- See to it that the log can be written to, and that it does not grow for ever; called at the
--- start of a server. The one before is kept as `codex.log.old`.
---@return string path
function M.prepare()
  local path = M.path()
  pcall(vim.fn.mkdir, vim.fs.dirname(path), 'p')
  local stat = vim.uv.fs_stat(path)
  if stat and stat.size > MAX_BYTES then
    vim.uv.fs_rename(path, path .. '.old')
  end
  return path
end

--- Add a line. Never fails: a log that cannot be written is no reason to stop.
---@param text string
function M.write(text)
  local file = io.open(M.path(), 'a') or io.open(M.prepare(), 'a')
  if file then
    file:write(os.date('!%Y-%m-%dT%H:%M:%SZ'), ' nvim ', (text:gsub('\n', '\n  ')), '\n')
    file:close()
  end
end

--- Show the log, at its end.
function M.open()
  local path = M.prepare()
  if not vim.uv.fs_stat(path) then
    require('codex.notify').info('nothing is logged yet; the log will be ' .. path)
    return
  end
  vim.cmd.tabedit(vim.fn.fnameescape(path))
  vim.bo.autoread = true
  vim.bo.modifiable = false
  vim.bo.bufhidden = 'wipe'
  vim.cmd.normal({ 'G', bang = true })
end

return M
