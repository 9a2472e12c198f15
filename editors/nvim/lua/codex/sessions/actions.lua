-- What can be done with a saved session. Each action ends with `done(changed)`: whether the list
-- has to be looked at again.

local errors = require('codex.errors')

local M = {}

---@alias codex.sessions.Done fun(changed: boolean)

---@param err codex.Error
---@param what string
local function say(err, what)
  require('codex.notify').error(err, what)
end

--- Show a session in the chat.
---@param session codex.Session
function M.show(session)
  require('codex.sessions_open').set_current(session)
  require('codex.chat').attach(session)
  for _, warning in ipairs(session.info.warnings or {}) do
    require('codex.notify').warn(warning)
  end
end

--- The server of the folder that a session belongs to, and the folder if its own is gone.
---@param summary codex.sessions.Summary
---@return codex.Server, string? cwd
local function server_of(summary)
  local servers = require('codex.server')
  local cwd = summary.cwd
  if cwd and vim.fn.isdirectory(cwd) == 1 then
    local markers = require('codex.config').get().root_markers
    return servers.get(vim.fs.root(cwd, markers) or cwd)
  end
  local here = servers.get()
  if cwd then
    require('codex.notify').warn(('%s is gone; it goes on in %s'):format(cwd, here.root))
    return here, here.root
  end
  return here
end

--- Open a session, and show it in the chat. One that another process has can be taken over.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
---@param takeover boolean?
function M.resume(summary, done, takeover)
  local server, cwd = server_of(summary)
  local params = { sessionId = summary.sessionId, cwd = cwd, takeover = takeover }
  require('codex.session').resume(server, params, function(err, session)
    if session then
      M.show(session)
      done(false)
    elseif err.code == errors.SESSION_IN_USE and not takeover then
      M.in_use(summary, err, done)
    else
      say(err, 'The session cannot be opened')
      done(err.code == errors.SESSION_NOT_FOUND)
    end
  end)
end

--- Ask what to do about a session that another process has.
---@param summary codex.sessions.Summary
---@param err codex.Error
---@param done codex.sessions.Done
function M.in_use(summary, err, done)
  local data = err.data or {}
  local who = data.pid and (' (process %s on %s)'):format(data.pid, data.host or 'this machine')
    or ''
  local answers = {
    { text = 'Take it over: the other one lets go, and its turn is stopped', run = M.takeover },
    { text = 'Fork it: go on with a copy', run = M.fork },
    { text = 'Leave it' },
  }
  vim.ui.select(answers, {
    prompt = ('The session is open elsewhere%s'):format(who),
    kind = 'codex.in_use',
    format_item = function(answer)
      return answer.text
    end,
  }, function(answer)
    if answer and answer.run then
      answer.run(summary, done)
    else
      done(false)
    end
  end)
end

---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.takeover(summary, done)
  M.resume(summary, done, true)
end

--- Open a copy, and show it in the chat.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.fork(summary, done)
  local server, cwd = server_of(summary)
  local params = { sessionId = summary.sessionId, cwd = cwd }
  require('codex.session').fork(server, params, function(err, session)
    if session then
      M.show(session)
    else
      say(err, 'The session cannot be forked')
    end
    done(false)
  end)
end

--- Ask for a new title.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.rename(summary, done)
  local now = require('codex.sessions.list').title(summary)
  vim.ui.input({ prompt = 'Title: ', default = now }, function(title)
    title = title and vim.trim(title) or ''
    if title == '' or title == now then
      done(false)
      return
    end
    local params = { sessionId = summary.sessionId, title = title }
    require('codex.server').get():request('session/rename', params, function(err)
      if err then
        say(err, 'The session keeps its title')
      else
        local open = require('codex.sessions_open').by_id(summary.sessionId)
        if open then
          open.title = title
        end
      end
      done(not err)
    end)
  end)
end

--- Ask something of a session that must not be open. One that is open in this Neovim can be closed
--- first.
---@param method string
---@param summary codex.sessions.Summary
---@param what string what did not happen if it fails
---@param done codex.sessions.Done
local function of_closed(method, summary, what, done)
  local function send()
    local params = { sessionId = summary.sessionId }
    require('codex.server').get():request(method, params, function(err)
      if err then
        say(err, what)
      end
      done(not err)
    end)
  end
  local open = require('codex.sessions_open').by_id(summary.sessionId)
  if not open or open.status == 'closed' then
    send()
    return
  end
  vim.ui.select({ 'Close it first', 'Leave it' }, {
    prompt = 'The session is open in this Neovim',
    kind = 'codex.close',
  }, function(_, index)
    if index ~= 1 then
      done(false)
      return
    end
    open:close(function(err)
      if err then
        say(err, 'The session stays open')
        done(false)
      else
        send()
      end
    end)
  end)
end

--- Put a session away, or get it back.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.archive(summary, done)
  if summary.archived then
    of_closed('session/unarchive', summary, 'The session stays archived', done)
  else
    of_closed('session/archive', summary, 'The session was not archived', done)
  end
end

--- Remove a session for good, if the person says so.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.delete(summary, done)
  local title = require('codex.sessions.list').title(summary)
  vim.ui.select({ 'Keep it', 'Delete it: it cannot be brought back' }, {
    prompt = ('Delete "%s"?'):format(title),
    kind = 'codex.delete',
  }, function(_, index)
    if index == 2 then
      of_closed('session/delete', summary, 'The session was not deleted', done)
    else
      done(false)
    end
  end)
end

--- Write a session into a file: ask for the format and the path.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.export(summary, done)
  require('codex.sessions.export').ask(summary, done)
end

--- What pickers offer, in the order in which it is shown.
---@type {name: string, key: string, label: string}[]
M.offered = {
  { name = 'resume', key = 'r', label = 'resume' },
  { name = 'fork', key = 'f', label = 'fork' },
  { name = 'rename', key = 'n', label = 'rename' },
  { name = 'archive', key = 'a', label = 'archive' },
  { name = 'export', key = 'e', label = 'export' },
  { name = 'delete', key = 'd', label = 'delete' },
}

return M
