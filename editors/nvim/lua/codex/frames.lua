-- The frames of LSP out of any chunks of bytes. It knows no processes and no JSON.

local M = {}

--- What has no header by then is no LSP.
local MAX_HEADER_BYTES = 64 * 1024

---@class codex.Frames
---@field bytes integer how many are waiting
---@field private text string
---@field private at integer where the rest begins in `text`
---@field private chunks string[] what came behind `text`
---@field private length integer? of the body that comes next, once its header was read
local Frames = {}
Frames.__index = Frames

---@return codex.Frames
function M.new()
  return setmetatable({ bytes = 0, text = '', at = 1, chunks = {} }, Frames)
end

--- A message as a frame.
---@param body string
---@return string
function M.frame(body)
  return ('Content-Length: %d\r\n\r\n%s'):format(#body, body)
end

---@param chunk string
function Frames:feed(chunk)
  self.bytes = self.bytes + #chunk
  table.insert(self.chunks, chunk)
end

--- Make one text of what is there. Costs as much as what is there, so it is not done for each chunk
--- of a long body.
---@private
function Frames:join()
  if #self.chunks > 0 then
    self.text = self.text:sub(self.at) .. table.concat(self.chunks)
    self.at, self.chunks = 1, {}
  end
end

--- The body of the next frame; nil if not all of it is there yet.
---@return string?
function Frames:next()
  if not self.length then
    self:join()
    local from, to = self.text:find('\r\n\r\n', self.at, true)
    if not from then
      if self.bytes > MAX_HEADER_BYTES then
        error('what it writes is no JSON-RPC: ' .. self.text:sub(self.at, self.at + 80), 0)
      end
      return nil
    end
    local header = self.text:sub(self.at, from - 1)
    self.length = tonumber(header:lower():match('content%-length:%s*(%d+)'))
    if not self.length then
      error('what it writes is no JSON-RPC: ' .. header:sub(1, 80), 0)
    end
    self.bytes = self.bytes - (to + 1 - self.at)
    self.at = to + 1
  end
  if self.bytes < self.length then
    return nil
  end
  self:join()
  local body = self.text:sub(self.at, self.at + self.length - 1)
  self.at, self.bytes, self.length = self.at + self.length, self.bytes - self.length, nil
  return body
end

return M
