-- The saved sessions, page by page, and what a line of the list says of each.

local M = {}

---@class codex.sessions.Query
---@field query string? words that have to be found in it
---@field cwd string? only those of a folder
---@field archived boolean? those that are put away

---@class codex.sessions.Summary one of `session/list`
---@field sessionId string
---@field path string
---@field title string?
---@field preview string?
---@field excerpt string?
---@field cwd string?
---@field model string?
---@field updatedAt string?
---@field itemCount integer?
---@field status 'clean'|'interrupted'|'unreadable'
---@field reason string?
---@field live boolean
---@field archived boolean
---@field origin 'codex-rpc'|'codex'

---@class codex.sessions.Entry a line: a session, or a way to see others
---@field text string
---@field session codex.sessions.Summary?
---@field more 'page'|'folders'|'archived'|nil

---@class codex.sessions.List
---@field query codex.sessions.Query
---@field server codex.Server
---@field sessions codex.sessions.Summary[]
---@field cursor string?
---@field limit integer?
---@field filtered table<string, integer>
local List = {}
List.__index = List

--- Ids that were listed last, for completion.
---@type string[]
M.ids = {}
--- Whether they have been listed at all.
M.listed = false

---@param server codex.Server
---@param query codex.sessions.Query
---@return codex.sessions.List
function M.new(server, query)
  return setmetatable({ server = server, query = query, sessions = {}, filtered = {} }, List)
end

--- Get the next page.
---@param callback fun(err: codex.Error?)
function List:fetch(callback)
  -- An empty table would be sent as a list.
  local params = vim.tbl_extend('error', vim.empty_dict(), self.query)
  params.cursor, params.limit = self.cursor, self.limit
  self.server:request('session/list', params, function(err, page)
    if not err then
      vim.list_extend(self.sessions, page.sessions)
      self.cursor, self.filtered = page.nextCursor, page.filteredOut or {}
      M.listed = true
      M.ids = vim.tbl_map(function(session)
        return session.sessionId
      end, self.sessions)
    end
    callback(err)
  end)
end

--- How long ago something was, shortly.
---@param time string? as in `2026-11-23T04:11:40.033Z`
---@param now integer? seconds since 1970
---@return string
function M.ago(time, now)
  local year, month, day, hour, min, sec = (time or ''):match(
    '^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)'
  )
  if not year then
    return ''
  end
  -- os.time takes local time: what both lose by that is the same.
  now = os.time(os.date('!*t', now) --[[@as osdateparam]])
  local at = os.time({
    year = year,
    month = month,
    day = day,
    hour = hour,
    min = min,
    sec = sec,
    isdst = false,
  })
  local s = math.max(0, now - at)
  if s < 60 then
    return 'now'
  elseif s < 3600 then
    return ('%d min'):format(s / 60)
  elseif s < 86400 then
    return ('%d h'):format(s / 3600)
  elseif s < 86400 * 60 then
    return ('%d d'):format(s / 86400)
  end
  return ('%s-%s-%s'):format(year, month, day)
end

---@param text string
---@param width integer
local function fit(text, width)
  if vim.fn.strdisplaywidth(text) > width then
    text = vim.fn.strcharpart(text, 0, width - 1) .. '…'
  end
  return text .. (' '):rep(width - vim.fn.strdisplaywidth(text))
end

--- What a session is called.
---@param session codex.sessions.Summary
---@return string
function M.title(session)
  local title = vim.trim(session.title or '')
  if title == '' then
    title = vim.trim(session.preview or '')
  end
  title = title:gsub('%s+', ' ')
  return title ~= '' and title or ('(%s)'):format(session.reason or 'nothing was said')
end

--- The line of a session.
---@param session codex.sessions.Summary
---@param width integer?
---@param with_folder boolean?
---@return string
function M.line(session, width, with_folder)
  width = math.max(40, width or 72)
  local marks = {}
  if session.live then
    table.insert(marks, 'open')
  end
  if session.status ~= 'clean' then
    table.insert(marks, session.status)
  end
  if session.archived then
    table.insert(marks, 'archived')
  end
  if session.origin == 'codex' then
    table.insert(marks, 'Codex CLI')
  end
  local tail = #marks > 0 and (' [%s]'):format(table.concat(marks, ', ')) or ''
  if with_folder and session.cwd then
    tail = tail .. '  ' .. vim.fn.fnamemodify(session.cwd, ':~')
  end
  local room = math.max(16, width - 12 - vim.fn.strdisplaywidth(tail))
  local title = M.title(session)
  if session.excerpt and session.excerpt ~= '' then
    title = ('%s: %s'):format(title, vim.trim((session.excerpt:gsub('%s+', ' '))))
  end
  return ('%-10s  %s%s'):format(M.ago(session.updatedAt), fit(title, room), tail)
end

--- The lines: the sessions, then the ways to see others.
---@param width integer?
---@return codex.sessions.Entry[]
function List:entries(width)
  local entries = {}
  for _, session in ipairs(self.sessions) do
    local text = M.line(session, width, self.query.cwd == nil)
    table.insert(entries, { text = text, session = session })
  end
  local function add(more, text)
    table.insert(entries, { more = more, text = text })
  end
  if self.cursor then
    add('page', '… more of them')
  end
  if (self.filtered.cwd or 0) > 0 then
    add('folders', ('… %d in other folders'):format(self.filtered.cwd))
  end
  if (self.filtered.archived or 0) > 0 then
    local which = self.query.archived and 'not archived' or 'archived'
    add('archived', ('… %d %s'):format(self.filtered.archived, which))
  end
  return entries
end

--- A heading for the list.
---@return string
function List:heading()
  local parts = { self.query.archived and 'Archived sessions' or 'Sessions' }
  if self.query.cwd then
    table.insert(parts, 'of ' .. vim.fn.fnamemodify(self.query.cwd, ':~'))
  end
  if self.query.query then
    table.insert(parts, ('with "%s"'):format(self.query.query))
  end
  return table.concat(parts, ' ')
end

return M
