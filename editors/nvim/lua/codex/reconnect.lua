-- What follows the death of a server: each session that was open is resumed, and its inputs are
-- looked after.

local errors = require('codex.errors')

local M = {}

--- How far back the records are read to find an input.
local LOOK_BACK = 100

--- The parameters to resume a session with: what this person asked for, here, and no more.
---@param session codex.Session
---@return table
local function parameters(session)
  local params = vim.deepcopy(session.params)
  for _, name in ipairs({ 'path', 'last', 'resumePath', 'upTo', 'takeover' }) do
    params[name] = nil
  end
  params.sessionId = session.id
  return params
end

--- Look after what was said and has not arrived; then the session is idle again.
---@param session codex.Session
---@param info table
local function settle(session, info)
  local function done(entries)
    session:set_status('idle')
    session:tell({ type = 'reconnected', warnings = info.warnings or {} })
    session.inputs:resume(entries, info.itemCount)
  end
  if #session.inputs.list == 0 then
    done({})
    return
  end
  local params = { sessionId = session.id, limit = LOOK_BACK, direction = 'backward' }
  session.server:request('session/read', params, function(err, page)
    -- It may be gone again; then there will be another `ready`.
    if session.status == 'disconnected' and not (err and err.code == errors.DISCONNECTED) then
      done(page and page.items or {})
    end
  end)
end

--- Resume a session of a server that is back.
---@param session codex.Session
function M.session(session)
  if session.status ~= 'disconnected' then
    return
  end
  session.server:request('session/resume', parameters(session), function(err, info)
    if session.status ~= 'disconnected' or (err and err.code == errors.DISCONNECTED) then
      return
    end
    if err then
      require('codex.notify').error(err, 'The session could not be resumed')
      session:closed(err.message)
      return
    end
    session.info = vim.tbl_extend('force', session.info, info)
    settle(session, info)
  end)
end

return M
