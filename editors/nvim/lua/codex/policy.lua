-- :CodexPolicy: what the session may do, and what it asks about, from the next turn on.

local M = {}

---@class codex.policy.Choice
---@field name string
---@field kind 'approval'|'sandbox'
---@field means string

---@type codex.policy.Choice[]
M.choices = {
  { kind = 'approval', name = 'untrusted', means = 'ask before all but commands that only read' },
  { kind = 'approval', name = 'on-failure', means = 'ask when the sandbox has stopped a command' },
  { kind = 'approval', name = 'on-request', means = 'ask when the model says so' },
  { kind = 'approval', name = 'never', means = 'never ask; what the sandbox stops fails' },
  { kind = 'sandbox', name = 'read-only', means = 'commands may read all, and write nothing' },
  { kind = 'sandbox', name = 'workspace-write', means = 'commands may write in the project' },
  { kind = 'sandbox', name = 'danger-full-access', means = 'no sandbox: whatever you may' },
}

--- The names, for completion.
---@return string[]
function M.names()
  return vim.tbl_map(function(choice)
    return choice.name
  end, M.choices)
end

---@param session codex.Session
---@param choice codex.policy.Choice
---@return boolean
local function is_now(session, choice)
  if choice.kind == 'approval' then
    return session.info.approvalPolicy == choice.name
  end
  local sandbox = session.info.sandboxPolicy
  return (type(sandbox) == 'table' and sandbox.mode or sandbox) == choice.name
end

---@param session codex.Session
---@param choice codex.policy.Choice
local function choose(session, choice)
  local op = { type = 'override_turn_context' }
  if choice.kind == 'approval' then
    op.approval_policy = choice.name
  else
    op.sandbox_policy = { mode = choice.name }
  end
  session:submit(op, function(err)
    if err then
      require('codex.notify').error(err, 'The policy stays as it is')
    else
      require('codex.statusline').refresh()
      require('codex.notify').info(
        ('from the next turn on %s: %s'):format(choice.name, choice.means)
      )
    end
  end)
end

---@param session codex.Session
local function ask(session)
  vim.ui.select(M.choices, {
    prompt = 'What the session asks about (approval), and what commands may do (sandbox):',
    kind = 'codex.policy',
    format_item = function(choice)
      local now = is_now(session, choice) and '  (now)' or ''
      return ('%-8s  %-18s  %s%s'):format(choice.kind, choice.name, choice.means, now)
    end,
  }, function(choice)
    if choice and not is_now(session, choice) then
      choose(session, choice)
    end
  end)
end

--- Choose an approval policy or a sandbox for the current session; without a name, from a list.
---@param name string?
function M.pick(name)
  local wanted
  for _, choice in ipairs(M.choices) do
    wanted = choice.name == name and choice or wanted
  end
  if name and not wanted then
    local names = table.concat(M.names(), ', ')
    require('codex.notify').warn(('there is no policy "%s"; there are %s'):format(name, names))
    return
  end
  require('codex.sessions_open').ensure(function(err, session)
    if err or not session then
      require('codex.notify').error(err or 'there is no session', 'The policy stays as it is')
    elseif wanted then
      choose(session, wanted)
    else
      ask(session)
    end
  end)
end

return M
