-- What the events of a session do to its transcript. Those that are not here, and those that are
-- not known yet, do nothing.

local output = require('codex.chat.output')
local patches = require('codex.chat.patches')

local M = {}

local OVER = { done = true, failed = true, skipped = true }

--- A question may be the second one about a call.
---@param call_id string
---@return string
local function call_of(call_id)
  return (call_id:gsub('#%d+$', ''))
end

---@param view codex.chat.View
---@param key string
---@param kind 'message'|'reasoning'
---@param text string
local function delta(view, key, kind, text)
  local cell = view.live[key]
  if cell then
    table.insert(cell.parts, text)
    view.changed[cell] = true
  elseif text:find('[^\r\n]') then
    view.live[key] = view:place({ kind = kind, text = text, live = true, parts = { text } })
    view.live[key].appended = 1
  end
end

---@param view codex.chat.View
---@param key string
---@param kind 'message'|'reasoning'
---@param text string
local function whole(view, key, kind, text)
  local cell = view.live[key]
  view.live[key] = nil
  if not text:find('%S') then
    if cell then
      view:take_out(cell)
    end
  elseif cell then
    cell.text, cell.live, cell.parts = text, nil, nil
    view:render(cell)
  else
    view:place({ kind = kind, text = text })
  end
end

---@param view codex.chat.View
---@param call_id string
---@param cell codex.chat.Cell
local function call(view, call_id, cell)
  local known = view.calls[call_id]
  if not known then
    view.calls[call_id] = view:place(cell)
    return
  end
  for name, value in pairs(cell) do
    known[name] = value
  end
  view:render(known)
end

---@param view codex.chat.View
---@param call_id string
---@param state codex.chat.CallState
---@param more table?
local function ended(view, call_id, state, more)
  local cell = view.calls[call_id]
  if not cell then
    return
  end
  view.calls[call_id] = nil
  if cell.state ~= 'skipped' then
    cell.state = state
    for name, value in pairs(more or {}) do
      cell[name] = value
    end
  end
  view:render(cell)
end

---@param duration {secs: integer, nanos: integer}?
---@return number?
local function seconds(duration)
  return duration and duration.secs + duration.nanos / 1e9 or nil
end

--- What of a turn has not ended when the turn does.
---@param view codex.chat.View
---@param drop boolean? take out what was not said to its end
local function close(view, drop)
  for key, cell in pairs(view.live) do
    view.live[key] = nil
    if drop then
      view:take_out(cell)
    else
      cell.text, cell.live, cell.parts = table.concat(cell.parts), nil, nil
      view:render(cell)
    end
  end
  if drop then
    return
  end
  for call_id, cell in pairs(view.calls) do
    view.calls[call_id] = nil
    if not OVER[cell.state] then
      local began = cell.state == 'running'
      cell.state = began and 'failed' or 'skipped'
      cell.exit_code = began and cell.kind == 'command' and -1 or nil
      view:render(cell)
    end
  end
  view.plan, view.retry, view.turn_id = nil, nil, nil
end

---@param view codex.chat.View
---@param level 'info'|'warning'|'error'
---@param text string
---@param detail string?
local function notice(view, level, text, detail)
  return view:place({ kind = 'notice', level = level, text = text, detail = detail })
end

--- What a tool gave back: its texts, or everything as JSON.
---@param result table
---@return string
local function tool_output(result)
  local outcome = result.Err or result.Ok
  if type(outcome) ~= 'table' then
    return tostring(outcome)
  end
  local texts = {}
  for _, part in ipairs(outcome.content or {}) do
    table.insert(texts, part.text)
  end
  local is_text = #texts > 0 and #texts == #outcome.content
  return is_text and table.concat(texts, '\n') or require('codex.approval.text').json(outcome)
end

---@param invocation {server: string, tool: string, arguments: any}
---@param state codex.chat.CallState
---@return codex.chat.Cell
local function tool(invocation, state)
  local given = invocation.arguments
  local is_empty = given == nil or given == vim.NIL or (type(given) == 'table' and not next(given))
  return {
    kind = 'tool',
    state = state,
    name = ('%s.%s'):format(invocation.server, invocation.tool),
    input = not is_empty and require('codex.approval.text').json(given) or nil,
  }
end

local ABORTED = {
  shutdown = 'The session was closed in the middle of the turn',
  taken_over = 'Another program has taken the session',
}

---@type table<string, fun(view: codex.chat.View, msg: table, envelope: table?)>
local handlers = {
  user_message = function(view, msg)
    view:place({ kind = 'user', items = msg.items })
    view:set_title(msg.items)
  end,
  task_started = function(view, _, envelope)
    view.turn_id = envelope and envelope.id
  end,
  agent_message_delta = function(view, msg)
    delta(view, msg.item_id, 'message', msg.delta)
  end,
  agent_message = function(view, msg)
    whole(view, msg.item_id, 'message', msg.message)
  end,
  agent_reasoning_delta = function(view, msg)
    delta(view, ('%s/%s'):format(msg.item_id, msg.part), 'reasoning', msg.delta)
  end,
  agent_reasoning = function(view, msg)
    whole(view, ('%s/%s'):format(msg.item_id, msg.part), 'reasoning', msg.text)
  end,
  exec_approval_request = function(view, msg)
    local cell = { kind = 'command', state = 'asked', command = msg.command, cwd = msg.cwd }
    call(view, call_of(msg.call_id), cell)
  end,
  exec_command_begin = function(view, msg)
    call(view, msg.call_id, {
      kind = 'command',
      state = 'running',
      command = msg.command,
      cwd = msg.cwd,
      output = output.new(),
    })
  end,
  exec_command_output_delta = function(view, msg)
    local cell = view.calls[msg.call_id]
    if cell and cell.output then
      cell.output:add(msg.chunk)
      view:render(cell)
    end
  end,
  exec_command_end = function(view, msg)
    local cell = view.calls[msg.call_id]
    if cell and (not cell.output or cell.output:total() == 0) then
      cell.output = output.new(msg.stdout .. msg.stderr)
    end
    ended(view, msg.call_id, msg.exit_code == 0 and 'done' or 'failed', {
      exit_code = msg.exit_code,
      seconds = seconds(msg.duration),
    })
  end,
  apply_patch_approval_request = function(view, msg)
    local files = patches.of_changes(msg.changes)
    call(view, call_of(msg.call_id), { kind = 'patch', state = 'asked', files = files })
  end,
  patch_apply_begin = function(view, msg)
    local files = patches.of_changes(msg.changes)
    call(view, msg.call_id, { kind = 'patch', state = 'running', files = files })
  end,
  patch_apply_end = function(view, msg)
    local problem = not msg.success and (msg.stderr ~= '' and msg.stderr or msg.stdout) or nil
    ended(view, msg.call_id, msg.success and 'done' or 'failed', { problem = problem })
  end,
  mcp_tool_call_approval_request = function(view, msg)
    call(view, call_of(msg.call_id), tool(msg.invocation, 'asked'))
  end,
  mcp_tool_call_begin = function(view, msg)
    call(view, msg.call_id, tool(msg.invocation, 'running'))
  end,
  mcp_tool_call_end = function(view, msg)
    local failed = msg.result.Err ~= nil or msg.result.Ok.isError == true
    ended(view, msg.call_id, failed and 'failed' or 'done', {
      seconds = seconds(msg.duration),
      output = output.new(tool_output(msg.result)),
    })
  end,
  plan_update = function(view, msg)
    -- The one that counts is the last one, and that is where the turn is.
    if view.plan then
      view:take_out(view.plan)
    end
    view.plan = view:place({ kind = 'plan', steps = msg.plan, explanation = msg.explanation })
  end,
  task_complete = function(view)
    close(view)
  end,
  turn_aborted = function(view, msg)
    close(view)
    notice(view, 'info', ABORTED[msg.reason] or 'Interrupted')
  end,
  error = function(view, msg, envelope)
    if not envelope or envelope.id == view.turn_id then
      close(view)
    end
    notice(view, 'error', msg.message)
  end,
  stream_error = function(view, msg)
    close(view, true)
    if view.retry then
      view:take_out(view.retry)
    end
    local text = ('%s; attempt %d of %d follows in %.1f s'):format(
      msg.message,
      math.min(msg.attempt + 1, msg.max_attempts),
      msg.max_attempts,
      msg.retry_in_ms / 1000
    )
    view.retry = notice(view, 'warning', text)
  end,
  background_event = function(view, msg)
    notice(view, 'info', msg.message)
  end,
  context_compacted = function(view, msg)
    notice(view, 'info', 'The conversation was summarised, to make room', msg.summary)
  end,
  storage_failed = function(view, msg)
    notice(view, 'error', msg.message)
  end,
  storage_recovered = function(view)
    notice(view, 'info', 'The session file can be written again; nothing is lost')
  end,
  -- Those of the plugin itself.
  approval_answered = function(view, msg)
    local cell = view.calls[call_of(msg.call_id)]
    if cell and cell.state == 'asked' then
      local approved = vim.startswith(msg.decision, 'approved')
      cell.state = approved and 'answered' or 'skipped'
      view:render(cell)
    end
  end,
  approval_refused = function(view, msg)
    local cell = view.calls[call_of(msg.call_id)]
    if cell then
      cell.state = 'asked'
      view:render(cell)
    end
  end,
  input_returned = function(view, msg)
    view:give_back(msg.items)
    notice(view, 'error', ('Not sent, and back in the input window: %s'):format(msg.message))
  end,
  disconnected = function(view, msg)
    local interrupted = view.turn_id and '; the turn is interrupted' or ''
    close(view)
    notice(view, 'warning', msg.message .. interrupted)
  end,
  reconnected = function(view, msg)
    local text = table.concat(vim.list_extend({ 'The server is back' }, msg.warnings or {}), '\n')
    notice(view, 'info', text)
  end,
  closed = function(view, msg)
    close(view)
    local why = msg.message or 'The session is closed'
    notice(
      view,
      'info',
      ('%s; :CodexResume opens it again, :CodexNew begins another one'):format(why)
    )
  end,
}

local SAVED = {
  user_message = true,
  agent_message = true,
  agent_reasoning = true,
  exec_command_end = true,
  patch_apply_end = true,
  mcp_tool_call_end = true,
  plan_update = true,
}

--- Whether one of these events says that something was saved.
---@param entries {[1]: table}[]
---@return boolean
function M.has_saved(entries)
  for _, entry in ipairs(entries) do
    if SAVED[entry[1].type] then
      return true
    end
  end
  return false
end

--- Whether an event has something to show.
---@param msg table
---@return boolean
function M.is_shown(msg)
  return handlers[msg.type] ~= nil
end

--- Show an event.
---@param view codex.chat.View
---@param msg table
---@param envelope table?
function M.apply(view, msg, envelope)
  local handler = handlers[msg.type]
  if handler then
    handler(view, msg, envelope)
  end
end

return M
