-- What was said before, to be said again: in this chat, and behind that what the server keeps of
-- all sessions, entry by entry as it is asked for.

local M = {}

---@class codex.chat.Recall
---@field private texts string[] the newest first
---@field private at integer 0: what is being typed
---@field private draft string
---@field private offset integer? of the next older entry of the server's; nil: not known yet
---@field private asked string? the submission that asks for it
local Recall = {}
Recall.__index = Recall

---@return codex.chat.Recall
function M.new()
  return setmetatable({ texts = {}, at = 0, draft = '' }, Recall)
end

--- Something was said.
---@param text string
function Recall:add(text)
  self.at, self.draft = 0, ''
  if text ~= '' and self.texts[1] ~= text then
    table.insert(self.texts, 1, text)
  end
end

--- One step back; nil if there is none. Older entries are asked for one at a time.
---@param current string what is there now
---@param session codex.Session?
---@param later fun(text: string) when the server has answered
---@return string?
function Recall:older(current, session, later)
  if self.at == 0 then
    self.draft = current
  end
  if self.texts[self.at + 1] then
    self.at = self.at + 1
    return self.texts[self.at]
  end
  if session then
    self:ask(session, later)
  end
end

--- One step towards now; nil if this is now.
---@return string?
function Recall:newer()
  if self.at == 0 then
    return nil
  end
  self.at = self.at - 1
  return self.at == 0 and self.draft or self.texts[self.at]
end

---@private
---@param session codex.Session
---@param later fun(text: string)
function Recall:ask(session, later)
  local log_id = session.info.historyLogId
  self.offset = self.offset or (session.info.historyEntryCount or 0) - 1
  if self.asked or not log_id or self.offset < 0 then
    return
  end
  local at, off = self.at, nil
  local function answered(text)
    off()
    self.asked, self.offset = nil, self.offset - 1
    if not text or vim.list_contains(self.texts, text) then
      self:ask(session, later)
      return
    end
    table.insert(self.texts, text)
    if self.at == at then
      self.at = #self.texts
      later(text)
    end
  end
  off = session:subscribe(function(msg)
    if msg.type == 'get_history_entry_response' and msg.offset == self.offset then
      answered(type(msg.entry) == 'table' and msg.entry.text or nil)
    end
  end)
  self.asked = true
  local op = { type = 'get_history_entry_request', offset = self.offset, log_id = log_id }
  session:submit(op, function(err)
    if err then
      off()
      self.asked, self.offset = nil, -1
    end
  end)
end

return M
