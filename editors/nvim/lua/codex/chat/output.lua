-- What a command prints, as lines: without what only a terminal understands, whole up to a limit,
-- and a part of it to be shown.

local M = {}

--- So many bytes are kept whole; of what comes later, the last lines.
M.MAX_KEPT_BYTES = 16 * 1024 * 1024
--- A line that is longer than this is broken.
M.MAX_LINE_BYTES = 64 * 1024
--- So many lines are shown from the beginning, and so many from the end.
M.HEAD, M.TAIL = 100, 40

---@class codex.chat.Output
---@field count integer complete lines so far
---@field private kept string[] from the first line on
---@field private bytes integer of those
---@field private tail string[] the last lines, if not all are kept
---@field private partial string the line that is not complete
---@field private carry string the beginning of an escape sequence that is not complete
local Output = {}
Output.__index = Output

---@param text string? that is there already
---@return codex.chat.Output
function M.new(text)
  local self =
    setmetatable({ count = 0, kept = {}, bytes = 0, tail = {}, partial = '', carry = '' }, Output)
  if text then
    self:add(text)
  end
  return self
end

--- A line as a terminal shows it when all of it has come: what is written over is gone.
---@param line string
---@return string
local function overwritten(line)
  line = line:gsub('\r+$', '')
  return line:find('\r', 1, true) and line:match('([^\r]*)$') or line
end

--- Take more of it, in pieces of any size.
---@param text string
function Output:add(text)
  text = self.carry .. text
  self.carry = ''
  if text:find('\27', 1, true) then
    text = text
      :gsub('\27%[[0-?]*[ -/]*[@-~]', '')
      :gsub('\27%][^\7\27]*\7', '')
      :gsub('\27%][^\7\27]*\27\\', '')
      :gsub('\27[()][%w]', '')
      :gsub('\27[=>78cDEHMNO]', '')
    local from = text:find('\27[^\27]*$')
    if from and #text - from < 200 and not text:find('\n', from, true) then
      text, self.carry = text:sub(1, from - 1), text:sub(from)
    end
  end
  local at = 1
  while true do
    local stop = text:find('\n', at, true)
    if not stop then
      break
    end
    self:line(overwritten(self.partial .. text:sub(at, stop - 1)))
    self.partial = ''
    at = stop + 1
  end
  self.partial = self.partial .. text:sub(at)
  -- A progress bar without an end would be kept in all of its states.
  if #self.partial > 4096 and self.partial:find('\r', 1, true) then
    self.partial = self.partial:match('\r?[^\r]*\r*$')
  end
  if #self.partial > M.MAX_LINE_BYTES then
    self:line(self.partial)
    self.partial = ''
  end
end

---@private
---@param line string
function Output:line(line)
  self.count = self.count + 1
  if self.bytes <= M.MAX_KEPT_BYTES then
    self.bytes = self.bytes + #line + 1
    self.kept[self.count] = line
    return
  end
  table.insert(self.tail, line)
  if #self.tail > 2 * M.TAIL then
    self.tail = vim.list_slice(self.tail, M.TAIL + 1)
  end
end

--- How many lines there are, with the one that is not complete.
---@return integer
function Output:total()
  return self.count + (overwritten(self.partial) ~= '' and 1 or 0)
end

--- The last complete lines.
---@private
---@param count integer
---@return string[]
function Output:last(count)
  local lines = {}
  for i = math.max(1, #self.kept + #self.tail - count + 1), #self.kept + #self.tail do
    table.insert(lines, self.kept[i] or self.tail[i - #self.kept])
  end
  return lines
end

--- What is shown: all of it, or its beginning and its end.
---@return string[] lines, integer? left_out how many lines, integer? at behind which line
function Output:shown()
  local partial = overwritten(self.partial)
  local lines, left_out, at
  if self.count <= M.HEAD + M.TAIL then
    lines = vim.list_slice(self.kept, 1, self.count)
  else
    lines = vim.list_slice(self.kept, 1, M.HEAD)
    left_out, at = self.count - M.HEAD - M.TAIL, M.HEAD
    vim.list_extend(lines, self:last(M.TAIL))
  end
  if partial ~= '' then
    table.insert(lines, partial)
  end
  return lines, left_out, at
end

--- All that is kept.
---@return string[]
function Output:all()
  local lines = vim.list_slice(self.kept, 1, #self.kept)
  if self.count > #self.kept then
    local gone = self.count - #self.kept - #self.tail
    if gone > 0 then
      table.insert(lines, ('… %d lines are not kept …'):format(gone))
    end
    vim.list_extend(lines, self.tail)
  end
  local partial = overwritten(self.partial)
  if partial ~= '' then
    table.insert(lines, partial)
  end
  return lines
end

return M
