-- The server of one project: started when it is needed, started again when it dies, and given up
-- when it dies again and again.

local M = {}

--- A server that does not answer `initialize` for this long is ended.
M.START_TIMEOUT_MS = 30000
--- A server that was asked to end and has not for this long is ended by force.
M.STOP_TIMEOUT_MS = 5000
--- A server that has lived this long is healthy: its next death is the first one again.
M.HEALTHY_MS = 60000
--- After so many deaths in a row nobody tries any more, until something is asked of it.
M.MAX_DEATHS = 5

---@alias codex.ServerState 'starting'|'ready'|'waiting'|'stopped'|'failed'

---@class codex.Exit
---@field code integer
---@field signal integer
---@field wanted boolean somebody ended it
---@field how string in words

---@class codex.Server
---@field root string
---@field state codex.ServerState `waiting`: it died, and will be started again
---@field problem string? why it is `failed` or `waiting`
---@field process codex.Process?
---@field private deaths integer in a row
---@field private hung boolean it is ended because it did not answer
---@field private requests codex.Requests
---@field private listeners table<string, codex.Listeners>
---@field private routes table<string, fun(params: codex.protocol.SessionEvent)>
---@field private timer uv.uv_timer_t?
local Server = {}
Server.__index = Server

--- A server that is not started yet.
---@param root string
---@return codex.Server
function M.new(root)
  local listeners = require('codex.listeners')
  return setmetatable({
    root = root,
    state = 'stopped',
    deaths = 0,
    hung = false,
    requests = require('codex.requests').new(),
    listeners = {
      ready = listeners.new(),
      exit = listeners.new(),
      state = listeners.new(),
    },
    routes = {},
  }, Server)
end

--- Ask something. The callback comes exactly once, on the main loop: also when the server dies.
--- What is asked before it is ready is sent when it is.
---@param method string
---@param params table
---@param callback codex.Callback?
function Server:request(method, params, callback)
  callback = callback or function() end
  if self.state == 'ready' and self.process then
    self.requests:send(self.process, method, params, callback)
  else
    self.requests:keep(method, params, callback)
    self:wake()
  end
end

--- Be told: `'ready'`, also after each new start; `'exit'` with a `codex.Exit`; `'state'` with the
--- new one.
---@param kind 'ready'|'exit'|'state'
---@param fn function
---@return fun() off
function Server:on(kind, fn)
  return self.listeners[kind]:add(fn)
end

--- Have the events of a session; nil ends that. Those of sessions that nobody has are left out.
---@param session_id string
---@param fn fun(params: codex.protocol.SessionEvent)?
function Server:route(session_id, fn)
  self.routes[session_id] = fn
end

--- Whether it is being ended by somebody.
---@return boolean
function Server:stopping()
  return self.process ~= nil and self.process.stopping
end

--- Start it if nobody would.
function Server:wake()
  if self.state == 'stopped' or self.state == 'failed' then
    self.deaths = 0
    self:start()
  end
end

--- End it. Its sessions are saved, and go on when it is started again.
function Server:stop()
  self:clear_timer()
  if self.process then
    self:end_process()
  else
    self:set_state('stopped')
    self.requests:fail_kept('The server was stopped')
  end
end

---@private
function Server:end_process()
  local process = assert(self.process)
  process:stop()
  self:set_timer(M.STOP_TIMEOUT_MS, function()
    process:stop(true)
  end)
end

--- End it, and start it again.
function Server:restart()
  if not self.process then
    self:clear_timer()
    self:set_state('stopped')
    self:wake()
    return
  end
  local off
  off = self:on('exit', function()
    off()
    self:clear_timer()
    self:set_state('stopped')
    self:wake()
  end)
  self:end_process()
end

---@private
---@param state codex.ServerState
function Server:set_state(state)
  if self.state ~= state then
    self.state = state
    self.listeners.state:tell(state)
    require('codex.statusline').refresh()
  end
end

---@private
function Server:start()
  self:set_state('starting')
  local log = require('codex.log')
  local began = vim.uv.now()
  local process, problem = require('codex.process').start(self.root, {
    ready = function()
      self:on_ready()
    end,
    event = function(params)
      local route = self.routes[params.sessionId]
      if route then
        route(params)
      end
    end,
    exit = function(code, signal, wanted)
      if self.state == 'ready' and vim.uv.now() - began > M.HEALTHY_MS then
        self.deaths = 0
      end
      log.write(('the server of %s ended: code %d, signal %d'):format(self.root, code, signal))
      self:on_exit(code, signal, wanted)
    end,
  })
  if not process then
    -- Not now: whoever has asked does not expect to be answered before it is told that it has.
    vim.schedule(function()
      self:give_up(assert(problem))
    end)
    return
  end
  log.write(('the server of %s is started'):format(self.root))
  self.process = process
  self:set_timer(M.START_TIMEOUT_MS, function()
    log.write('the server has not answered `initialize`, and is ended')
    self.hung = true
    process:stop(true)
  end)
end

---@private
function Server:on_ready()
  if self.state ~= 'starting' or not self.process then
    return -- it has died in the moment in which it was ready
  end
  self:clear_timer()
  self.problem = nil
  self:set_state('ready')
  -- Sessions are resumed first, so that what waits finds them there.
  self.listeners.ready:tell()
  self.requests:flush(self.process)
end

---@private
---@param code integer
---@param signal integer
---@param wanted boolean
function Server:on_exit(code, signal, wanted)
  self:clear_timer()
  local how = self.hung and 'it did not answer'
    or self.process and self.process.problem
    or signal ~= 0 and ('signal %d'):format(signal)
    or ('exit code %d'):format(code)
  wanted = wanted and not self.hung
  self.process, self.hung = nil, false
  local goes_on = not wanted
  if goes_on then
    self.deaths = self.deaths + 1
    self.problem = how
    goes_on = self.deaths < M.MAX_DEATHS
    self:set_state('waiting')
  else
    self:set_state('stopped')
  end
  self.requests:fail_sent(('The server ended (%s)'):format(how))
  self.listeners.exit:tell({ code = code, signal = signal, wanted = wanted, how = how })
  if self.state == 'stopped' then
    self.requests:fail_kept('The server was stopped')
  elseif self.state == 'waiting' and goes_on then
    self:wait_and_start()
  elseif self.state == 'waiting' then
    self:give_up(('The server ended %d times in a row (%s)'):format(self.deaths, how))
  end
end

---@private
function Server:wait_and_start()
  local restart = require('codex.config').get().restart
  local delay_ms = math.min(restart.delay_ms * 2 ^ (self.deaths - 1), restart.max_delay_ms)
  self:set_timer(delay_ms, function()
    self:start()
  end)
end

---@private
---@param problem string
function Server:give_up(problem)
  local errors = require('codex.errors')
  local path = vim.fn.exepath(require('codex.config').get().cmd[1])
  local advice = path == ''
      and 'Install it (pip install codex-rpc), or set `cmd` in setup() to its path'
    or (':CodexLog has what %s said'):format(path)
  self.problem = problem
  self:set_state('failed')
  local told = self.requests:fail_kept(
    ('%s. %s. :checkhealth codex says more, :Codex tries again'):format(problem, advice)
  )
  if told == 0 then
    local short = ('%s: see :checkhealth codex'):format(problem)
    require('codex.notify').error({ code = errors.DISCONNECTED, message = short })
  end
end

---@private
---@param ms number
---@param fn function
function Server:set_timer(ms, fn)
  self:clear_timer()
  self.timer = vim.defer_fn(function()
    self.timer = nil
    fn()
  end, ms)
end

---@private
function Server:clear_timer()
  if self.timer and not self.timer:is_closing() then
    self.timer:stop()
    self.timer:close()
  end
  self.timer = nil
end

return M
