-- Questions: which one is on screen, which wait, and how a person is told of them. One is shown at
-- a time, the oldest first; the answers are the person's.

local M = {}

---@class codex.approval.View
---@field session codex.Session
---@field waiting codex.Waiting
---@field window codex.approval.Float|codex.approval.Review

---@type codex.approval.View?
local view
---@type table<codex.Waiting, integer> when each has come
local come = setmetatable({}, { __mode = 'k' })
---@type table<codex.Waiting, boolean> those that do not open by themselves any more
local put_off = setmetatable({}, { __mode = 'k' })
---@type table<codex.Waiting, {session: codex.Session, review: codex.approval.Review}>
local reviews = {}
local count = 0
local tries_later = false

---@return {session: codex.Session, waiting: codex.Waiting}[] the oldest first
local function all()
  local list = {}
  for _, session in ipairs(require('codex.sessions_open').all()) do
    for _, waiting in ipairs(session.waiting) do
      table.insert(list, { session = session, waiting = waiting })
    end
  end
  table.sort(list, function(a, b)
    return (come[a.waiting] or 0) < (come[b.waiting] or 0)
  end)
  return list
end

---@return string? "1 of 2", if there is more than one
local function note()
  local waiting = #all()
  return waiting > 1 and ('1 of %d'):format(waiting) or nil
end

local function close()
  local closing = view
  view = nil
  if closing then
    closing.window:close()
  end
end

--- Close it and leave the question where it is.
local function later()
  if view then
    put_off[view.waiting] = true
    close()
    require('codex.notify').info('the question waits; :CodexApprove opens it again')
  end
end

---@param entry {session: codex.Session, waiting: codex.Waiting}
---@param by_itself boolean
local function open(entry, by_itself)
  local session, waiting = entry.session, entry.waiting
  local attention = require('codex.approval.attention')
  local function answer(decision, extra)
    session:answer(waiting.call_id, decision, extra)
    local following = all()[1]
    if following and not view then
      open(following, true)
    end
  end
  local window
  if waiting.kind == 'patch' and next(waiting.msg.files or {}) then
    local begun = reviews[waiting]
    if not begun then
      begun = { session = session, review = require('codex.approval.review').new(waiting) }
      reviews[waiting] = begun
    end
    begun.review:open({ answer = answer, later = later })
    begun.review:set_note(note())
    window = begun.review
  else
    window = require('codex.approval.ask').open(waiting, { answer = answer, later = later }, note())
    window:arm(by_itself and attention.ARM_MS or 0)
  end
  view = { session = session, waiting = waiting, window = window }
end

---@param entry {session: codex.Session, waiting: codex.Waiting}
local function tell(entry)
  local head, tail = 'codex wants to ', ': :CodexApprove'
  local brief = require('codex.approval.text').brief(entry.waiting)
  -- One line: a longer one would make Neovim ask for a key.
  local room = math.max(20, vim.v.echospace - #head - #tail - 2)
  if vim.fn.strdisplaywidth(brief) > room then
    brief = vim.fn.strcharpart(brief, 0, room - 1) .. '…'
  end
  vim.notify(head .. brief .. tail, vim.log.levels.WARN, { title = 'codex' })
end

--- Open the oldest question that was not put off, if the person is free for it now.
local function try()
  if view then
    return
  end
  local attention = require('codex.approval.attention')
  for _, entry in ipairs(all()) do
    if not put_off[entry.waiting] then
      if not attention.in_chat() then
        return
      end
      if attention.is_quiet() then
        open(entry, true)
      elseif not tries_later then
        tries_later = true
        vim.defer_fn(function()
          tries_later = false
          try()
        end, attention.QUIET_MS)
      end
      return
    end
  end
end

---@param session codex.Session
---@param call_id string
local function on_request(session, call_id)
  for _, waiting in ipairs(session.waiting) do
    if waiting.call_id == call_id and not come[waiting] then
      count = count + 1
      come[waiting] = count
      if view then
        view.window:set_note(note())
        return
      end
      if not require('codex.approval.attention').in_chat() then
        tell({ session = session, waiting = waiting })
      end
      try()
      return
    end
  end
end

--- Take what is not asked any more from the screen.
---@param session codex.Session
local function sync(session)
  if view and view.session == session and not vim.list_contains(session.waiting, view.waiting) then
    close()
  end
  for waiting, begun in pairs(reviews) do
    if begun.session == session and not vim.list_contains(session.waiting, waiting) then
      reviews[waiting] = nil
      begun.review:forget()
    end
  end
end

local requests = {
  exec_approval_request = true,
  apply_patch_approval_request = true,
  mcp_tool_call_approval_request = true,
}

--- Put the questions of a session.
---@param session codex.Session
function M.attach(session)
  require('codex.approval.attention').watch(function()
    if not view and #all() > 0 then
      -- Not inside of the event: another window may be on its way.
      vim.schedule(try)
    end
  end)
  session:subscribe(function(msg)
    if view or next(reviews) then
      sync(session)
    end
    if requests[msg.type] then
      on_request(session, msg.call_id)
    elseif msg.type == 'approval_refused' then
      try()
    end
  end)
end

--- Go to the question that is open, else open the one that has waited longest.
function M.approve()
  if view and view.window:is_open() then
    view.window:arm()
    view.window:focus()
    return
  end
  view = nil
  local entry = all()[1]
  if entry then
    open(entry, false)
  else
    require('codex.notify').info('nothing waits to be approved')
  end
end

--- How many questions wait, in all sessions.
---@return integer
function M.count()
  return #all()
end

return M
