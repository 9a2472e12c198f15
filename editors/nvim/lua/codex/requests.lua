-- What was asked of a server: what waits until it is ready, and what waits for its answer.

local errors = require('codex.errors')

local M = {}

---@alias codex.Callback fun(err: codex.Error?, result: any)

---@class codex.Error
---@field code integer as in the protocol, or `errors.DISCONNECTED`
---@field message string
---@field data any

---@class codex.Requests
---@field private queue {method: string, params: table, callback: codex.Callback}[]
---@field private sent table<table, codex.Callback>
local Requests = {}
Requests.__index = Requests

---@return codex.Requests
function M.new()
  return setmetatable({ queue = {}, sent = {} }, Requests)
end

--- Keep a request for later.
---@param method string
---@param params table
---@param callback codex.Callback
function Requests:keep(method, params, callback)
  table.insert(self.queue, { method = method, params = params, callback = callback })
end

--- Send what was kept.
---@param process codex.Process
function Requests:flush(process)
  local queue = self.queue
  self.queue = {}
  for _, request in ipairs(queue) do
    self:send(process, request.method, request.params, request.callback)
  end
end

--- Send a request; the callback comes once, on the main loop.
---@param process codex.Process
---@param method string
---@param params table
---@param callback codex.Callback
function Requests:send(process, method, params, callback)
  local key = {}
  self.sent[key] = callback
  local sent = process:request(method, params, function(err, result)
    if self.sent[key] then
      self.sent[key] = nil
      callback(err, result)
    end
  end)
  if not sent then
    -- It is dying. Whoever asks does not expect to be answered before it is told that it has.
    vim.schedule(function()
      if self.sent[key] then
        self.sent[key] = nil
        callback({ code = errors.DISCONNECTED, message = 'The server has ended' })
      end
    end)
  end
end

---@param callbacks codex.Callback[]
---@param message string
local function fail(callbacks, message)
  local listeners = require('codex.listeners')
  for _, callback in ipairs(callbacks) do
    listeners.call(callback, { code = errors.DISCONNECTED, message = message })
  end
end

--- No answer will come any more.
---@param message string
function Requests:fail_sent(message)
  local sent = self.sent
  self.sent = {}
  fail(vim.tbl_values(sent), message)
end

--- What is kept will not be sent.
---@param message string
---@return integer how many there were
function Requests:fail_kept(message)
  local queue = self.queue
  self.queue = {}
  fail(
    vim.tbl_map(function(request)
      return request.callback
    end, queue),
    message
  )
  return #queue
end

return M
