-- Sessions are begun, continued and forked here.

local open = require('codex.sessions_open')

local M = {}

--- Parameters with the wish to see patches before they are written.
---@param params table
---@return table
local function reviewing(params)
  if not require('codex.config').get().patch_review then
    return params
  end
  local config = vim.tbl_extend('keep', params.config or {}, { patch_review = true })
  return vim.tbl_extend('force', params, { config = config })
end

--- Have the server open a session.
---@param method string
---@param server codex.Server
---@param params table
---@param callback fun(err: codex.Error?, session: codex.Session?)?
local function start(method, server, params, callback)
  callback = callback or function() end
  server:request(method, params, function(err, info)
    if err then
      callback(err)
      return
    end
    local session = open.by_id(info.sessionId)
    if session then
      session.info = vim.tbl_extend('force', session.info, info)
    else
      session = require('codex.live_session').new(server, info, params)
    end
    callback(nil, session)
  end)
end

--- Start a session. Parameters are those of `session/configure`; `cwd` and what `setup()` says of
--- sessions are added.
---@param server codex.Server
---@param params table
---@param callback fun(err: codex.Error?, session: codex.Session?)?
function M.configure(server, params, callback)
  local own = require('codex.config').get().session
  local whole = vim.tbl_extend('force', { cwd = server.root }, own, params)
  start('session/configure', server, reviewing(whole), callback)
end

--- Go on with a saved session: `{sessionId = …}`, `{path = …}` or `{last = true}`. One that is
--- open here already is returned as it is.
---@param server codex.Server
---@param params table
---@param callback fun(err: codex.Error?, session: codex.Session?)?
function M.resume(server, params, callback)
  local session = params.sessionId and open.by_id(params.sessionId)
  if session and session.status ~= 'closed' then
    vim.schedule(function()
      callback(nil, session)
    end)
    return
  end
  local whole = vim.tbl_extend('keep', params, params.last and { cwd = server.root } or {})
  start('session/resume', server, reviewing(whole), callback)
end

--- Start a session with the beginning of another one: `{sessionId|path, upTo?}`. It goes on with
--- that one's model and folder.
---@param server codex.Server
---@param params table
---@param callback fun(err: codex.Error?, session: codex.Session?)?
function M.fork(server, params, callback)
  start('session/fork', server, reviewing(params), callback)
end

return M
