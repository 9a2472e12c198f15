-- A session that is open: what it does, what it waits for, and what can be said to it.

local errors = require('codex.errors')
local open = require('codex.sessions_open')

local M = {}

---@alias codex.SessionStatus 'idle'|'running'|'disconnected'|'closed'
---@alias codex.Decision 'approved'|'approved_for_session'|'denied'|'abort'

---@class codex.Waiting a question that is not answered yet
---@field kind 'exec'|'patch'|'mcp'
---@field call_id string
---@field msg table
---@field turn_id string

---@class codex.Session
---@field id string
---@field server codex.Server
---@field root string
---@field title string?
---@field info table the result of configure or resume
---@field status codex.SessionStatus
---@field waiting codex.Waiting[] in order
---@field tokens table? the last `token_count`
---@field plan table? the last `plan_update`
---@field turn_diff string? of the last turn that has one
---@field unsaved table? the `storage_failed` that holds
---@field private params table what was asked for, and is again after a crash of the server
---@field private inputs codex.Inputs
---@field private listeners codex.Listeners
---@field private turn_id string?
---@field private off fun()[] what ends its listening to the server
local Session = {}
Session.__index = Session

--- Take up a session that the server has open.
---@param server codex.Server
---@param info table
---@param params table what was asked for
---@return codex.Session
function M.new(server, info, params)
  local self = setmetatable({
    id = info.sessionId,
    server = server,
    root = info.cwd or server.root,
    title = info.title,
    info = info,
    status = 'idle',
    waiting = {},
    params = params,
    listeners = require('codex.listeners').new(),
  }, Session)
  self.inputs = require('codex.inputs').new(self)
  server:route(self.id, function(envelope)
    self:on_event(envelope)
  end)
  self.off = {
    server:on('exit', function(exit)
      self:on_exit(exit)
    end),
    server:on('ready', function()
      require('codex.reconnect').session(self)
    end),
    server:on('state', function(state)
      if state == 'failed' and self.status == 'disconnected' then
        self.inputs:give_back(server.problem)
      end
    end),
  }
  open.add(self)
  return self
end

--- Hand it an operation.
---@param op table
---@param callback codex.Callback?
---@param id string? the submission's, not used before
function Session:submit(op, callback, id)
  callback = callback or function() end
  if self.status == 'closed' or self.status == 'disconnected' then
    local closed = self.status == 'closed'
    vim.schedule(function()
      callback({
        code = closed and errors.SESSION_CLOSED or errors.DISCONNECTED,
        message = closed and 'The session is closed; :CodexResume opens it again'
          or 'The server is being started again; try it when it is back',
      })
    end)
    return
  end
  local params = { sessionId = self.id, op = op, id = id }
  self.server:request('session/submit', params, function(err, result)
    if not err and op.type == 'override_turn_context' then
      self:remember(op)
    end
    callback(err, result)
  end)
end

--- Say something. It is kept until it is recorded: should the server die before, it is sent again
--- once, else given back to the listeners, as `{type = 'input_returned', items}`.
---@param items table[] of the op `user_input`
---@param callback codex.Callback?
function Session:send(items, callback)
  self.inputs:send(items, callback)
end

--- Stop the running turn.
function Session:interrupt()
  if self.status == 'running' or self.status == 'idle' then
    self:submit({ type = 'interrupt' }, function(err)
      if err then
        require('codex.notify').error(err, 'The turn was not stopped')
      end
    end)
  end
end

--- Answer a question. It is taken from `waiting` at once; should the server refuse the answer, it
--- is back, and the person is told.
---@param call_id string
---@param decision codex.Decision
---@param extra {edited: table<string, string>?, hunks: table<string, integer[]>?}? of a patch
---@param callback codex.Callback?
function Session:answer(call_id, decision, extra, callback)
  local waiting = self:take(call_id)
  if not waiting then
    return
  end
  local op = {
    type = waiting.kind == 'patch' and 'patch_approval' or 'exec_approval',
    id = call_id,
    decision = decision,
  }
  for name, value in pairs(extra or {}) do
    -- An empty table would be sent as a list.
    op[name] = next(value) ~= nil and value or nil
  end
  self:tell({ type = 'approval_answered', call_id = call_id, decision = decision })
  self:submit(op, function(err, result)
    if err then
      local over = err.code == errors.INVALID_STATE
        or err.code == errors.SESSION_CLOSED
        or err.code == errors.DISCONNECTED
      if not over then
        table.insert(self.waiting, 1, waiting)
        self:tell({ type = 'approval_refused', call_id = call_id, message = err.message })
      end
      require('codex.notify').error(err, 'The answer does not count')
    end
    if callback then
      callback(err, result)
    end
  end)
end

--- Close it. With records that could not be saved it stays open, with an error, unless discarded.
---@param callback codex.Callback?
---@param discard boolean?
function Session:close(callback, discard)
  callback = callback or function() end
  if self.status == 'closed' or self.status == 'disconnected' then
    self:closed()
    vim.schedule(callback)
    return
  end
  local params = { sessionId = self.id, discard = discard }
  self.server:request('session/close', params, function(err, result)
    if not err or err.code == errors.SESSION_CLOSED then
      self:closed()
      callback(nil, result)
    else
      callback(err)
    end
  end)
end

--- Have every event, in order, after the session's own state was brought up to date; and ours:
--- `status {status}`, `disconnected {message}`, `reconnected {warnings}`, `closed {message?}`,
--- `input_sent {items, id}`, `input_returned {items, message}`,
--- `approval_answered {call_id, decision}`, `approval_refused {call_id, message}`: it waits again.
---@param fn fun(msg: table, envelope: table?)
---@return fun() off
function Session:subscribe(fn)
  return self.listeners:add(fn)
end

--- Tell the listeners something of our own.
---@param msg table
---@package
function Session:tell(msg)
  self.listeners:tell(msg)
end

---@param status codex.SessionStatus
---@package
function Session:set_status(status)
  if self.status ~= status then
    self.status = status
    self:tell({ type = 'status', status = status })
    require('codex.statusline').refresh()
  end
end

--- Take a question from those that wait.
---@param call_id string
---@return codex.Waiting?
---@package
function Session:take(call_id)
  for i, waiting in ipairs(self.waiting) do
    if waiting.call_id == call_id then
      require('codex.statusline').refresh()
      return table.remove(self.waiting, i)
    end
  end
end

--- Keep what the person chose for the turns to come: the server has to be told again should it die,
--- as it never takes a looser policy from a file.
---@param op table
---@private
function Session:remember(op)
  local names = {
    cwd = 'cwd',
    approval_policy = 'approvalPolicy',
    sandbox_policy = 'sandboxPolicy',
    model = 'model',
    effort = 'modelReasoningEffort',
    summary = 'modelReasoningSummary',
  }
  for field, name in pairs(names) do
    if op[field] ~= nil then
      self.params[name] = op[field]
      self.info[name] = op[field]
    end
  end
end

---@param envelope codex.protocol.SessionEvent
---@package
function Session:on_event(envelope)
  local msg = envelope.msg
  require('codex.session_events').apply(self, envelope)
  self.listeners:tell(msg, envelope)
  if msg.type == 'session_taken_over' then
    self:closed('Another window has taken the session')
  elseif msg.type == 'shutdown_complete' and not self.server:stopping() then
    self:closed()
  end
end

---@param exit codex.Exit
---@package
function Session:on_exit(exit)
  self.waiting, self.turn_id = {}, nil
  self:set_status('disconnected')
  local message = exit.wanted and 'The server was stopped'
    or ('The server ended (%s)'):format(exit.how)
  self:tell({ type = 'disconnected', message = message })
end

--- It is over in this Neovim.
---@param message string?
---@package
function Session:closed(message)
  if self.status == 'closed' then
    return
  end
  self.waiting, self.turn_id = {}, nil
  self:set_status('closed')
  self.server:route(self.id, nil)
  for _, off in ipairs(self.off) do
    off()
  end
  self:tell({ type = 'closed', message = message })
  self.inputs:give_back(message or 'The session was closed')
  open.remove(self)
end

return M
