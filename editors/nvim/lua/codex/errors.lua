-- The codes of errors: what they are called, and how loud they are.

local levels = vim.log.levels

local M = {}

--- The server is gone, or could not be started: ours, never sent.
M.DISCONNECTED = -1
M.SESSION_NOT_FOUND = 1001
M.SESSION_IN_USE = 1002
M.SESSION_CLOSED = 1005
M.INVALID_STATE = 1007
M.INVALID_PARAMS = -32602

---@type table<integer, {name: string, level: integer}>
local known = {
  [M.DISCONNECTED] = { name = 'Disconnected', level = levels.ERROR },
  [M.SESSION_NOT_FOUND] = { name = 'SessionNotFound', level = levels.WARN },
  [M.SESSION_IN_USE] = { name = 'SessionInUse', level = levels.WARN },
  [1003] = { name = 'RolloutUnreadable', level = levels.ERROR },
  [1004] = { name = 'NotConfigured', level = levels.ERROR },
  [M.SESSION_CLOSED] = { name = 'SessionClosed', level = levels.WARN },
  [1006] = { name = 'StorageFailed', level = levels.ERROR },
  [M.INVALID_STATE] = { name = 'InvalidState', level = levels.WARN },
  [1008] = { name = 'Overloaded', level = levels.WARN },
  [-32800] = { name = 'RequestCancelled', level = levels.DEBUG },
  [M.INVALID_PARAMS] = { name = 'InvalidParams', level = levels.ERROR },
  [-32601] = { name = 'MethodNotFound', level = levels.ERROR },
}

--- The name of a code, as in the protocol; `'Error <code>'` for one that is not known.
---@param code integer?
---@return string
function M.name(code)
  return known[code] and known[code].name or ('Error %s'):format(code or '')
end

--- How loud an error of this code is: one of `vim.log.levels`.
---@param code integer?
---@return integer
function M.level(code)
  return known[code] and known[code].level or levels.ERROR
end

return M
