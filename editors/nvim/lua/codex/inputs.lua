-- What a person has said to a session and has not been recorded yet. None of it gets lost, and none
-- is said twice.

local M = {}

---@class codex.Input
---@field id string the submission's
---@field items table[]
---@field sends integer how often it was sent

---@class codex.Inputs
---@field list codex.Input[] what has not arrived, in order
---@field private session codex.Session
---@field private base integer the records that there were when the session was opened
---@field private announced integer the `user_message`s since then
---@field private last table[]? what the last one of them said
local Inputs = {}
Inputs.__index = Inputs

local count = 0

---@param session codex.Session
---@return codex.Inputs
function M.new(session)
  local self = setmetatable({ session = session, list = {} }, Inputs)
  self:rebase(session.info.itemCount)
  return self
end

--- Count records from here on.
---@param item_count integer?
function Inputs:rebase(item_count)
  self.base, self.announced, self.last = item_count or 0, 0, nil
end

--- A submission's id that was not used before: this Neovim's process, a time and a number.
---@return string
local function new_id()
  count = count + 1
  return ('nvim-%d-%x-%d'):format(vim.uv.os_getpid(), vim.uv.hrtime() % 0xffffff, count)
end

--- Send an input; while the server is away it waits.
---@param items table[]
---@param callback codex.Callback?
function Inputs:send(items, callback)
  local input = { id = new_id(), items = items, sends = 0 }
  table.insert(self.list, input)
  if self.session.status == 'disconnected' then
    self.session.server:wake()
    return
  end
  self:submit(input, callback)
end

---@private
---@param input codex.Input
---@param callback codex.Callback?
function Inputs:submit(input, callback)
  local errors = require('codex.errors')
  input.sends = input.sends + 1
  self.session:tell({ type = 'input_sent', items = input.items, id = input.id })
  local op = { type = 'user_input', items = input.items }
  self.session:submit(op, function(err, result)
    -- Of one that died with the server nothing is known until the session is back.
    local lost = err and err.code == errors.DISCONNECTED and self.session.status ~= 'closed'
    if err and not lost and self:take(input.id) then
      self.session:tell({ type = 'input_returned', items = input.items, message = err.message })
    end
    if callback then
      callback(err, result)
    end
  end, input.id)
end

---@private
---@param id string
---@return codex.Input?
function Inputs:take(id)
  for i, input in ipairs(self.list) do
    if input.id == id then
      return table.remove(self.list, i)
    end
  end
end

--- A `user_message` has come: it is recorded.
---@param id string the submission's
---@param items table[]
function Inputs:arrived(id, items)
  self:take(id)
  self.announced, self.last = self.announced + 1, items
end

--- Whether a recorded message of a user is what an input made.
---@param content table[]
---@param items table[]
---@return boolean
local function matches(content, items)
  local texts, images = {}, 0
  for _, part in ipairs(content) do
    table.insert(texts, part.text)
    images = images + (part.type == 'input_image' and 1 or 0)
  end
  local whole = table.concat(texts, '\n')
  for _, item in ipairs(items) do
    if item.type == 'text' and not whole:find(item.text, 1, true) then
      return false
    elseif item.type:find('image') then
      images = images - 1
    end
  end
  return images >= 0
end

--- How many of the inputs are recorded, as their announcement got lost with the server. They are
--- the newest records, behind those that were announced; the same words may have been said before.
---@private
---@param entries {index: integer, item: table}[] the newest records
---@return integer
function Inputs:recorded(entries)
  local contents = {}
  for _, entry in ipairs(entries) do
    local item = entry.item
    if entry.index >= self.base and item.type == 'message' and item.role == 'user' then
      table.insert(contents, item.content or {})
    end
  end
  local sent = 0
  for _, input in ipairs(self.list) do
    sent = sent + math.min(input.sends, 1)
  end
  for lost = math.min(sent, #contents), 1, -1 do
    local before = #contents - lost
    local fits = before == 0 or self.last ~= nil and matches(contents[before], self.last)
    for i = 1, lost do
      fits = fits and matches(contents[before + i], self.list[i].items)
    end
    if fits and before <= self.announced then
      return lost
    end
  end
  return 0
end

--- The session is back: what was recorded is told as the `user_message` that got lost, what was not
--- is sent once more, and what has met the end of the server twice is given back.
---@param entries {index: integer, item: table}[] the newest records
---@param item_count integer? how many there are
function Inputs:resume(entries, item_count)
  for _ = 1, self:recorded(entries) do
    local input = table.remove(self.list, 1)
    self.session:tell({ type = 'user_message', items = input.items, turn_id = input.id })
  end
  self:rebase(item_count)
  local list = self.list
  self.list = {}
  for _, input in ipairs(list) do
    if input.sends > 1 then
      self.session:tell({
        type = 'input_returned',
        items = input.items,
        message = 'The server has ended twice with this input',
      })
    else
      input.id = new_id() -- the old one may have been used up
      table.insert(self.list, input)
      self:submit(input)
    end
  end
end

--- Hand all of it back to the person.
---@param message string why
function Inputs:give_back(message)
  local list = self.list
  self.list = {}
  for _, input in ipairs(list) do
    self.session:tell({ type = 'input_returned', items = input.items, message = message })
  end
end

return M
