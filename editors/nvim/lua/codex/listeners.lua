-- Those who want to be told something, in the order in which they came. One that fails does not
-- keep the others from being told.

local M = {}

---@class codex.Listeners
---@field private list {fn: function}[] never changed in place, as someone may be going through it
local Listeners = {}
Listeners.__index = Listeners

---@type table<string, boolean> what was said already: a failure may come with every delta
local said = {}

---@return codex.Listeners
function M.new()
  return setmetatable({ list = {} }, Listeners)
end

--- Call something; its failure is said to the person, once, and goes no further.
---@param fn function
---@param ... any
function M.call(fn, ...)
  local ok, problem = xpcall(fn, debug.traceback, ...)
  if not ok then
    require('codex.log').write(problem)
    local line = tostring(problem):match('^[^\n]*')
    if not said[line] then
      said[line] = true
      require('codex.notify').error(
        ('a fault of the plugin: %s\nPlease report it with what :CodexLog has'):format(line)
      )
    end
  end
end

---@param fn function
---@return fun() off
function Listeners:add(fn)
  local entry = { fn = fn }
  self.list = vim.list_extend(vim.list_slice(self.list), { entry })
  return function()
    self.list = vim.tbl_filter(function(other)
      return other ~= entry
    end, self.list)
  end
end

---@param ... any
function Listeners:tell(...)
  for _, entry in ipairs(self.list) do
    M.call(entry.fn, ...)
  end
end

return M
