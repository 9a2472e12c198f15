-- JSON-RPC as Neovim's LSP client expects it of a `cmd` that is a function: see |vim.lsp.rpc|.

local M = {}

local CANCELLED = -32800
local INTERNAL_ERROR = -32603

---@class codex.Rpc
---@field private transport codex.Transport
---@field private dispatchers vim.lsp.rpc.Dispatchers
---@field private last_id integer
---@field private callbacks table<integer, fun(err: table?, result: any)>
---@field private replied table<integer, fun(id: integer)>
local Rpc = {}
Rpc.__index = Rpc

---@private
---@param message table
---@return boolean sent
function Rpc:send(message)
  message.jsonrpc = '2.0'
  return self.transport:write(vim.json.encode(message))
end

---@private
---@param kind string one of `vim.lsp.rpc.client_errors`
---@param fn function
---@param ... any
function Rpc:try(kind, fn, ...)
  local ok, problem = xpcall(fn, debug.traceback, ...)
  if not ok then
    self.dispatchers.on_error(vim.lsp.rpc.client_errors[kind], problem)
  end
end

---@private
---@param method string
---@param params table?
---@param callback fun(err: table?, result: any)
---@param replied fun(id: integer)?
---@return boolean sent, integer? id
function Rpc:request(method, params, callback, replied)
  self.last_id = self.last_id + 1
  local id = self.last_id
  if not self:send({ id = id, method = method, params = params }) then
    return false
  end
  self.callbacks[id], self.replied[id] = callback, replied
  return true, id
end

--- An answer of the server.
---@private
---@param id integer
---@param err table?
---@param result any
function Rpc:on_answer(id, err, result)
  local callback, replied = self.callbacks[id], self.replied[id]
  self.callbacks[id], self.replied[id] = nil, nil
  if replied then
    replied(id)
  end
  if callback and not (err and err.code == CANCELLED) then
    if err then
      setmetatable(err, { __tostring = vim.lsp.rpc.format_rpc_error })
    end
    self:try('SERVER_RESULT_CALLBACK_ERROR', callback, err, result)
  end
end

--- A request of the server. It is answered when its handler returns, which may wait.
---@private
---@param id integer|string
---@param method string
---@param params table?
function Rpc:on_request(id, method, params)
  coroutine.wrap(function()
    local ok, result, err = pcall(self.dispatchers.server_request, method, params)
    if not ok then
      err = { code = INTERNAL_ERROR, message = tostring(result) }
      self.dispatchers.on_error(vim.lsp.rpc.client_errors.SERVER_REQUEST_HANDLER_ERROR, result)
      result = nil
    elseif result == nil and err == nil then
      result = vim.NIL
    end
    self:send({ id = id, error = err, result = result })
  end)()
end

---@private
---@param body string
function Rpc:on_message(body)
  local ok, message = pcall(vim.json.decode, body, { luanil = { object = true } })
  if not ok or type(message) ~= 'table' then
    self.dispatchers.on_error(vim.lsp.rpc.client_errors.INVALID_SERVER_JSON, message)
  elseif message.method and message.id then
    self:on_request(message.id, message.method, message.params)
  elseif message.method then
    local notification = self.dispatchers.notification
    self:try('NOTIFICATION_HANDLER_ERROR', notification, message.method, message.params)
  elseif message.id then
    self:on_answer(message.id, message.error, message.result)
  end
end

---@class codex.Rpc.Options: codex.Transport.Options
---@field garbage fun(problem: string) what it writes makes no sense; it is being ended

--- Start a process, and speak with it; nil and why not, if that cannot be.
---@param cmd string[]
---@param options codex.Rpc.Options
---@param dispatchers vim.lsp.rpc.Dispatchers all are called on the main loop
---@return vim.lsp.rpc.PublicClient?, string? problem
function M.start(cmd, options, dispatchers)
  local self = setmetatable({
    dispatchers = dispatchers,
    last_id = 0,
    callbacks = {},
    replied = {},
  }, Rpc)
  local transport, problem = require('codex.transport').start(cmd, options, {
    message = function(body)
      self:on_message(body)
    end,
    garbage = options.garbage,
    exit = dispatchers.on_exit,
  })
  if not transport then
    return nil, problem
  end
  self.transport = transport
  return {
    request = function(...)
      return self:request(...)
    end,
    notify = function(method, params)
      return self:send({ method = method, params = params })
    end,
    is_closing = function()
      return transport:is_closing()
    end,
    terminate = function()
      transport:terminate()
    end,
  }
end

return M
