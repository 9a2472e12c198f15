-- The pipes to a process, so that a flood of messages never blocks Neovim: it handles a few
-- milliseconds of them at a time, and what it cannot handle it leaves unread. The server then
-- sends fewer and longer deltas.

local M = {}

--- For so long messages are handled before keys and redraws have their turn.
local SLICE_NS = 8 * 1e6
--- How much may wait; then the pipe is left unread until less than half of it is left.
local MAX_WAITING_BYTES = 256 * 1024
--- How long a process that was asked to end is given.
local GRACE_MS = 3000

---@class codex.Transport.Hooks all are called on the main loop
---@field message fun(body: string)
---@field garbage fun(problem: string) what it writes makes no sense; it is being ended
---@field exit fun(code: integer, signal: integer) behind the last message

---@class codex.Transport
---@field pid integer
---@field private hooks codex.Transport.Hooks
---@field private frames codex.Frames
---@field private process uv.uv_process_t
---@field private stdin uv.uv_pipe_t
---@field private stdout uv.uv_pipe_t
---@field private reading boolean
---@field private draining boolean a drain is on its way
---@field private ended boolean nothing will be read any more
---@field private exited {code: integer, signal: integer}?
---@field private over boolean
local Transport = {}
Transport.__index = Transport

--- All variables of the environment, some set anew; nil: as they are.
---@param more table<string, string>
---@return string[]?
local function environment(more)
  if not next(more) then
    return nil
  end
  local list = {}
  for name, value in pairs(vim.tbl_extend('force', vim.fn.environ(), more)) do
    table.insert(list, name .. '=' .. value)
  end
  return list
end

---@class codex.Transport.Options
---@field cwd string
---@field env table<string, string> on top of Neovim's own
---@field stderr string the file that stderr is added to

--- Start a process; nil and why not, if that cannot be.
---@param cmd string[]
---@param options codex.Transport.Options
---@param hooks codex.Transport.Hooks
---@return codex.Transport?, string? problem
function M.start(cmd, options, hooks)
  local self = setmetatable({
    hooks = hooks,
    frames = require('codex.frames').new(),
    stdin = assert(vim.uv.new_pipe()),
    stdout = assert(vim.uv.new_pipe()),
    reading = false,
    draining = false,
    ended = false,
    over = false,
  }, Transport)
  local log = vim.uv.fs_open(options.stderr, 'a', 384) -- for the person alone: 0600
  local process, pid = vim.uv.spawn(cmd[1], {
    args = vim.list_slice(cmd, 2),
    cwd = options.cwd,
    env = environment(options.env),
    stdio = { self.stdin, self.stdout, log },
    -- Ctrl-C in the terminal is not meant for it.
    detached = vim.fn.has('win32') == 0,
    hide = true,
  }, function(code, signal)
    self.exited = { code = code, signal = signal }
    self.process:close()
    self:drain_soon()
    -- Should something else hold its stdout open, that is not waited for.
    vim.defer_fn(function()
      self.ended = true
      self:drain()
    end, GRACE_MS)
  end)
  if log then
    vim.uv.fs_close(log)
  end
  if not process then
    self.stdin:close()
    self.stdout:close()
    return nil, tostring(pid)
  end
  self.process, self.pid = process, pid --[[@as integer]]
  self:read()
  return self
end

---@private
function Transport:read()
  if self.reading or self.ended or self.stdout:is_closing() then
    return
  end
  self.reading = true
  self.stdout:read_start(function(err, chunk)
    if err or not chunk then
      self.ended = true
    else
      self.frames:feed(chunk)
      if self.frames.bytes > MAX_WAITING_BYTES then
        self.stdout:read_stop()
        self.reading = false
      end
    end
    self:drain_soon()
  end)
end

---@private
function Transport:drain_soon()
  if not self.draining then
    self.draining = true
    vim.schedule(function()
      self:drain()
    end)
  end
end

--- Handle what is there, for a while.
---@private
function Transport:drain()
  self.draining = false
  if self.over then
    return
  end
  local until_ns = vim.uv.hrtime() + SLICE_NS
  local body
  repeat
    body = self:next()
    if body then
      self.hooks.message(body)
    end
  until not body or vim.uv.hrtime() > until_ns
  if body then
    -- Not vim.schedule: that would be handled before keys are.
    self.draining = true
    vim.defer_fn(function()
      self:drain()
    end, 1)
  elseif self.exited and self.ended then
    self:finish()
    return
  end
  -- Of a message that is not whole yet the rest is needed, however long it is.
  if not body or self.frames.bytes < MAX_WAITING_BYTES / 2 then
    self:read()
  end
end

--- The next message that is there.
---@private
---@return string?
function Transport:next()
  local fine, body = pcall(self.frames.next, self.frames)
  if fine then
    return body --[[@as string?]]
  end
  self.frames = require('codex.frames').new()
  self.ended = true
  self.stdout:close()
  self:terminate()
  self.hooks.garbage(body --[[@as string]])
end

---@private
function Transport:finish()
  self.over = true
  for _, pipe in ipairs({ self.stdin, self.stdout }) do
    if not pipe:is_closing() then
      pipe:close()
    end
  end
  self.hooks.exit(self.exited.code, self.exited.signal)
end

--- Send a message; false if nobody is there.
---@param body string
---@return boolean
function Transport:write(body)
  if self:is_closing() or self.stdin:is_closing() then
    return false
  end
  -- That it does not get there is noticed as the end of the process.
  self.stdin:write(require('codex.frames').frame(body), function() end)
  return true
end

--- Whether it is over, or all but.
---@return boolean
function Transport:is_closing()
  return self.over or self.exited ~= nil
end

--- End it: with a request, and with force if that does not help.
function Transport:terminate()
  if self.exited then
    return
  end
  self.process:kill('sigterm')
  vim.defer_fn(function()
    if not self.exited then
      self.process:kill('sigkill')
    end
  end, GRACE_MS)
end

return M
