-- What the server's events do to the state of a session. Those that are not here, and those that
-- are not known yet, change nothing.

local M = {}

---@param kind 'exec'|'patch'|'mcp'
local function asks(kind)
  return function(session, msg, envelope)
    session:take(msg.call_id) -- it is told again when the session is resumed
    local waiting = { kind = kind, call_id = msg.call_id, msg = msg, turn_id = envelope.id }
    table.insert(session.waiting, waiting)
    require('codex.statusline').refresh()
  end
end

local function goes_on(session, msg)
  session:take(msg.call_id)
end

local function turn_ends(session)
  session.turn_id, session.waiting = nil, {}
  session:set_status('idle')
end

---@type table<string, fun(session: codex.Session, msg: table, envelope: table)>
local effects = {
  session_configured = function(session, msg)
    session.info.model, session.info.rolloutPath = msg.model, msg.rollout_path
    session.info.sandbox = msg.sandbox or session.info.sandbox
  end,
  user_message = function(session, msg, envelope)
    session.inputs:arrived(envelope.id, msg.items)
  end,
  task_started = function(session, msg, envelope)
    session.turn_id, session.turn_diff = envelope.id, nil
    session.info.contextWindow = msg.model_context_window or session.info.contextWindow
    session:set_status('running')
  end,
  task_complete = turn_ends,
  turn_aborted = turn_ends,
  error = function(session, _, envelope)
    if envelope.id == session.turn_id then
      turn_ends(session)
    end
  end,
  token_count = function(session, msg)
    session.tokens = msg
    require('codex.statusline').refresh()
  end,
  plan_update = function(session, msg)
    session.plan = msg
  end,
  turn_diff = function(session, msg)
    session.turn_diff = msg.unified_diff
  end,
  exec_approval_request = asks('exec'),
  apply_patch_approval_request = asks('patch'),
  mcp_tool_call_approval_request = asks('mcp'),
  exec_command_begin = goes_on,
  exec_command_end = function(session, msg)
    session:take(msg.call_id)
    session:take(msg.call_id .. '#2')
  end,
  patch_apply_begin = goes_on,
  patch_apply_end = goes_on,
  mcp_tool_call_begin = goes_on,
  mcp_tool_call_end = goes_on,
  storage_failed = function(session, msg)
    session.unsaved = msg
    require('codex.notify').error({ code = msg.code, message = msg.message })
    require('codex.statusline').refresh()
  end,
  storage_recovered = function(session)
    session.unsaved = nil
    require('codex.statusline').refresh()
  end,
}

--- Bring the state of a session up to date.
---@param session codex.Session
---@param envelope codex.protocol.SessionEvent
function M.apply(session, envelope)
  local effect = effects[envelope.msg.type]
  if effect then
    effect(session, envelope.msg, envelope)
  end
end

return M
