-- Which sessions are open in this Neovim, and which of them a tab page is about.

local M = {}

---@alias codex.SessionChange 'opened'|'closed'|'current'

---@type table<string, codex.Session>
local sessions = {}
---@type codex.Session[] in the order in which they were opened
local order = {}
---@type table<integer, codex.Session> by tab page
local by_tab = {}
local listeners = require('codex.listeners').new()

---@param change codex.SessionChange
---@param session codex.Session?
local function tell(change, session)
  listeners:tell(change, session)
  require('codex.statusline').refresh()
end

--- The session that this tab page is about: the one that was chosen in it, else the newest one of
--- the project; nil if there is none.
---@param root string? default: the project of the current buffer
---@return codex.Session?
function M.current(root)
  local chosen = by_tab[vim.api.nvim_get_current_tabpage()]
  if chosen and sessions[chosen.id] == chosen then
    return chosen
  end
  if #order == 0 then
    return nil
  end
  root = root or require('codex.server').root()
  for i = #order, 1, -1 do
    if order[i].server.root == root then
      return order[i]
    end
  end
end

--- Make this tab page about a session; nil: about none.
---@param session codex.Session?
function M.set_current(session)
  local tab = vim.api.nvim_get_current_tabpage()
  for known in pairs(by_tab) do
    if not vim.api.nvim_tabpage_is_valid(known) then
      by_tab[known] = nil
    end
  end
  by_tab[tab] = session
  tell('current', session)
end

---@param id string
---@return codex.Session?
function M.by_id(id)
  return sessions[id]
end

--- All that are open, in the order in which they were opened.
---@return codex.Session[]
function M.all()
  return vim.list_slice(order)
end

--- Be told of sessions that are opened, closed, or made the current one.
---@param fn fun(change: codex.SessionChange, session: codex.Session?)
---@return fun() off
function M.on_change(fn)
  return listeners:add(fn)
end

--- The current session; a new one is opened if there is none.
---@param callback fun(err: codex.Error?, session: codex.Session?)
function M.ensure(callback)
  local session = M.current()
  if session and session.status ~= 'closed' then
    callback(nil, session)
    return
  end
  require('codex.session').configure(require('codex.server').get(), {}, function(err, opened)
    if opened then
      M.set_current(opened)
    end
    callback(err, opened)
  end)
end

--- Add a session; `codex.session` does.
---@param session codex.Session
function M.add(session)
  if sessions[session.id] then
    return
  end
  sessions[session.id] = session
  table.insert(order, session)
  -- Whoever opens a session, and however: its questions are put.
  require('codex.approval').attach(session)
  tell('opened', session)
end

--- Take one out that is closed; `codex.session` does.
---@param session codex.Session
function M.remove(session)
  if sessions[session.id] ~= session then
    return
  end
  sessions[session.id] = nil
  order = vim.tbl_filter(function(other)
    return other ~= session
  end, order)
  tell('closed', session)
end

return M
