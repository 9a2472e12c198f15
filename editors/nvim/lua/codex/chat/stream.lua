-- Events on their way to the screen: taken at once, and shown in batches, so that a fast model is
-- not drawn word by word, and Neovim has time for keys in between.

local M = {}

--- The time between two batches.
M.INTERVAL_MS = 30
--- A batch takes no longer than this; what is left comes soon after.
M.BUDGET_MS = 8
--- How soon.
M.PAUSE_MS = 4

---@class codex.chat.Stream
---@field private queue table[]
---@field private first integer
---@field private last integer
---@field private timer uv.uv_timer_t?
---@field private take fun(entry: any)
---@field private finish fun()
local Stream = {}
Stream.__index = Stream

--- `take` has each entry, in order; `finish` is called behind each batch.
---@param take fun(entry: any)
---@param finish fun()
---@return codex.chat.Stream
function M.new(take, finish)
  return setmetatable({ queue = {}, first = 1, last = 0, take = take, finish = finish }, Stream)
end

--- Add an entry; takes no time.
---@param entry any
function Stream:push(entry)
  self.last = self.last + 1
  self.queue[self.last] = entry
  self:wake()
end

--- Have a batch soon, also if nothing is waiting.
function Stream:wake()
  if not self.timer then
    self:wait(M.INTERVAL_MS)
  end
end

---@private
---@param ms integer
function Stream:wait(ms)
  self.timer = vim.defer_fn(function()
    self.timer = nil
    self:batch()
  end, ms)
end

---@private
function Stream:batch()
  local call = require('codex.listeners').call
  local ends = vim.uv.hrtime() + M.BUDGET_MS * 1e6
  while self.first <= self.last and vim.uv.hrtime() < ends do
    local entry = self.queue[self.first]
    self.queue[self.first] = nil
    self.first = self.first + 1
    call(self.take, entry)
  end
  call(self.finish)
  if self.first <= self.last then
    self:wait(M.PAUSE_MS)
  end
end

--- Whether all of it was shown.
---@return boolean
function Stream:is_empty()
  return self.first > self.last and not self.timer
end

--- Forget what is waiting.
function Stream:clear()
  self.queue, self.first, self.last = {}, 1, 0
  if self.timer and not self.timer:is_closing() then
    self.timer:stop()
    self.timer:close()
  end
  self.timer = nil
end

return M
