-- A session on the screen: its transcript, which follows the events, and its input.

local events = require('codex.chat.events')
local folds = require('codex.chat.folds')
local tails = require('codex.chat.tails')

local M = {}

local api = vim.api

---@class codex.chat.View
---@field root string
---@field session codex.Session?
---@field problem string? why there is no session
---@field opening boolean? a session is on its way
---@field fresh boolean? it is for a new session, whatever is open
---@field buffer integer? of the transcript
---@field transcript codex.chat.Transcript
---@field pages codex.chat.Pages
---@field input codex.chat.Input
---@field live table<string, codex.chat.Placed> texts to which more is said
---@field calls table<string, codex.chat.Placed> calls that have not ended
---@field plan codex.chat.Placed? of this turn
---@field retry codex.chat.Placed? what is said of a stream that broke off
---@field turn_id string?
---@field changed table<codex.chat.Placed, boolean> what has more text than is shown
---@field private stale table<codex.chat.Placed, boolean> what has to be rendered again
---@field private outbox {id: string, items: table[], text: string?}[] until there is a session
---@field private waiting table<string, codex.chat.Placed> by input
---@field private stream codex.chat.Stream
---@field private held table[]? events that come while the last page is read
---@field private tails integer[]? windows that show the end
---@field private jump boolean? all windows are to show the end
---@field private name string?
---@field private off fun()?
local View = {}
View.__index = View

--- A view without a session yet.
---@param root string
---@return codex.chat.View
function M.new(root)
  local self = setmetatable({ root = root, outbox = {} }, View)
  self.input = require('codex.chat.input').new(self)
  self.stream = require('codex.chat.stream').new(function(entry)
    self:begin()
    events.apply(self, entry[1], entry[2])
  end, function()
    self:finish()
  end)
  self:clear()
  return self
end

---@private
function View:clear()
  self.live, self.calls, self.changed, self.stale, self.waiting = {}, {}, {}, {}, {}
  self.plan, self.retry, self.turn_id, self.tails, self.held = nil, nil, nil, nil, nil
  self.stream:clear()
end

--- The buffer of the transcript; a new one if the old one was wiped out, with what was said so far.
---@return integer
function View:ensure()
  if self.buffer then
    return self.buffer
  end
  local buffer = api.nvim_create_buf(false, true)
  self.buffer = buffer
  api.nvim_buf_set_name(buffer, ('codex://chat/%d'):format(buffer))
  vim.bo[buffer].bufhidden = 'hide'
  vim.bo[buffer].swapfile = false
  vim.bo[buffer].undolevels = -1
  vim.bo[buffer].modifiable = false
  self.transcript = require('codex.chat.transcript').new(buffer)
  folds.attach(self.transcript)
  require('codex.chat.winbar').attach(buffer, self)
  require('codex.chat.keys').attach(buffer, self)
  vim.bo[buffer].filetype = 'codex'
  require('codex.chat.highlights').markdown(buffer)
  api.nvim_create_autocmd('BufWinEnter', {
    buffer = buffer,
    callback = function()
      local window = api.nvim_get_current_win()
      require('codex.chat.windows').dress(window)
      folds.restore(self.transcript, window)
    end,
  })
  api.nvim_create_autocmd('BufWipeout', {
    buffer = buffer,
    once = true,
    callback = function()
      self.buffer = nil
      self:leave()
    end,
  })
  if self.session then
    self:follow(self.session)
  else
    self.pages = require('codex.chat.pages').new(self, 0)
    self.pages:begin()
  end
  return buffer
end

--- Stop following the session.
---@private
function View:leave()
  if self.off then
    self.off()
    self.off = nil
  end
  if self.buffer then
    for _, cell in pairs(self.waiting) do
      self:take_out(cell) -- what still waits is put there again
    end
  end
  self:clear()
end

--- A session that was resumed has a title that only the list knows.
---@param session codex.Session
local function find_title(session)
  if session.title then
    return
  end
  local params = { cwd = session.root, limit = 50 }
  session.server:request('session/list', params, function(_, result)
    for _, summary in ipairs(result and result.sessions or {}) do
      if summary.sessionId == session.id and type(summary.title) == 'string' then
        session.title = session.title or summary.title
        require('codex.statusline').refresh()
      end
    end
  end)
end

--- Follow a session from now on: what was said before is read, and goes above.
---@private
---@param session codex.Session
function View:follow(session)
  self:leave()
  -- If nothing was said since it was opened, its file says where the events begin.
  local fresh = session.inputs.announced == 0
  self.pages = require('codex.chat.pages').new(self, fresh and session.inputs.base or nil)
  self.turn_id = session.status == 'running' and session.turn_id or nil
  self.pages:begin()
  self.off = session:subscribe(function(msg, envelope)
    if self.held then
      table.insert(self.held, { msg, envelope })
    elseif events.is_shown(msg) or msg.type == 'input_sent' then
      self.stream:push({ msg, envelope })
    end
  end)
  if self.pages.more then
    self.held = {}
    self.pages:load(function()
      local held = self.held
      self.held, self.jump = nil, true
      if fresh then
        for _, entry in ipairs(held) do
          self.stream:push(entry)
        end
      elseif events.has_saved(held) then
        -- What was saved while the page was read may be in it, or not.
        self:reset()
        self:follow(session)
        return
      end
      self:ask_again()
      self.stream:wake()
    end)
    find_title(session)
  end
end

--- Questions that were put before anybody looked.
---@private
function View:ask_again()
  for _, waiting in ipairs(self.session.waiting) do
    if not self.calls[waiting.call_id] then
      self.stream:push({ waiting.msg })
    end
  end
end

--- Show a session; what was said in the meantime is sent.
---@param session codex.Session
function View:adopt(session)
  local again = self.session ~= nil and self.session ~= session
  self.session, self.root, self.problem = session, session.root, nil
  if self.buffer then
    if again then
      self:reset()
    end
    self:follow(session)
  end
  local outbox = self.outbox
  self.outbox = {}
  for _, entry in ipairs(outbox) do
    self:send(entry.items, entry.text)
  end
  require('codex.statusline').refresh()
end

---@private
function View:reset()
  self:leave()
  vim.bo[self.buffer].modifiable = true
  api.nvim_buf_set_lines(self.buffer, 0, -1, false, {})
  vim.bo[self.buffer].modifiable = false
  self.transcript:reset()
end

--- There is no session: say why, and give back what was to be sent.
---@param err codex.Error
function View:fail(err)
  self.problem = err.message
  local outbox = self.outbox
  self.outbox = {}
  for i = #outbox, 1, -1 do
    self:give_back(outbox[i].items)
  end
  self:ensure()
  self.stream:push({ { type = 'error', message = err.message } })
  require('codex.statusline').refresh()
end

--- Send items; what a person has typed of them can be had again later.
---@param items table[]
---@param text string?
function View:send(items, text)
  self.jump = true
  self.stream:wake()
  if not self.session then
    table.insert(self.outbox, { id = 'outbox-' .. #self.outbox, items = items, text = text })
    require('codex.chat').start(self)
    return
  end
  self.session:send(items)
  if text and self.session.status ~= 'disconnected' and self.session.status ~= 'closed' then
    self.session:submit({ type = 'add_to_history', text = text })
  end
end

--- Put items back to where they were typed.
---@param items table[]
function View:give_back(items)
  self.input:prepend(require('codex.chat.items').to_text(items, self.root))
end

---@return boolean
function View:is_running()
  return self.session ~= nil and self.session.status == 'running'
end

--- What the session is about.
---@return string
function View:title()
  local title = self.session and self.session.title
  return title or self.name or 'New session'
end

--- Name it by what was said first.
---@param items table[]
function View:set_title(items)
  if self.name then
    return
  end
  for _, item in ipairs(items) do
    local text = item.type == 'text' and vim.trim(item.text) or ''
    if text ~= '' then
      self.name = vim.trim(text:match('^[^\n]*'):sub(1, 200))
      require('codex.statusline').refresh()
      return
    end
  end
end

--- Note which windows show the end, before anything changes.
---@private
function View:begin()
  if self.tails then
    return
  end
  self.tails = tails.at_end(self.buffer)
end

local HEADED =
  { message = true, reasoning = true, command = true, patch = true, plan = true, tool = true }

--- Who has the word: the last one with a heading, unless that was a page ago.
---@param cell codex.chat.Placed?
---@return string?
local function speaker(cell)
  while cell and cell.kind == 'notice' do
    cell = cell.prev
  end
  if not cell then
    return nil
  end
  return cell.kind == 'user' and 'user' or 'heading'
end

--- Put a cell at the end of what was said, above what waits.
---@param cell codex.chat.Cell
---@return codex.chat.Placed
function View:place(cell)
  local above = self.transcript.last
  while above and above.kind == 'waiting' do
    above = above.prev
  end
  cell.folder = self.root
  if HEADED[cell.kind] and speaker(above) ~= 'heading' then
    above = self.transcript:place({ kind = 'heading' }, above)
  end
  local placed = self.transcript:place(cell, above)
  self.stale[placed] = true
  return placed
end

--- Render a cell again, with the next batch.
---@param cell codex.chat.Placed
function View:render(cell)
  self.changed[cell] = nil
  self.stale[cell] = true
end

--- Take a cell out.
---@param cell codex.chat.Placed
function View:take_out(cell)
  self.changed[cell], self.stale[cell] = nil, nil
  self.transcript:remove(cell)
end

--- What is not said to its end, and what waits for its turn.
---@private
function View:sync_waiting()
  local inputs = {}
  vim.list_extend(inputs, self.outbox)
  vim.list_extend(inputs, self.session and self.session.inputs.list or {})
  local wanted = {}
  for _, input in ipairs(inputs) do
    wanted[input.id] = true
  end
  for id, cell in pairs(self.waiting) do
    if not wanted[id] then
      self.waiting[id] = nil
      self:take_out(cell)
    end
  end
  for _, input in ipairs(inputs) do
    if not self.waiting[input.id] then
      local cell = { kind = 'waiting', items = input.items, folder = self.root }
      self.waiting[input.id] = self.transcript:place(cell, self.transcript.last)
    end
  end
end

--- Behind each batch.
---@private
function View:finish()
  if not self.buffer then
    return
  end
  self:begin()
  for cell in pairs(self.changed) do
    local text = table.concat(cell.parts, '', cell.appended + 1)
    cell.appended = #cell.parts
    self.transcript:append(cell, text, cell.kind == 'reasoning' and '> ' or '')
  end
  local stale = self.stale
  self.changed, self.stale = {}, {}
  for cell in pairs(stale) do
    if not cell.live then
      self.transcript:render(cell)
      folds.add(self.transcript, cell)
    end
  end
  self:sync_waiting()
  local windows = self.jump and vim.fn.win_findbuf(self.buffer) or self.tails
  self.tails, self.jump = nil, nil
  for _, window in ipairs(windows) do
    tails.show_end(window, self.buffer)
  end
end

return M
