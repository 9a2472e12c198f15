-- What the current session does, in a few words for a statusline.

local M = {}

---@class codex.StatuslineState
---@field model string?
---@field doing 'failed'|'restarting'|'starting'|'stopped'|'idle'|'running'|'waiting'|'closed'
---@field waiting integer questions that wait for an answer, of all sessions
---@field used integer? tokens of the last request
---@field window integer? that the model has room for
---@field unsaved boolean the session's file cannot be written

local waits = false
---@type {key: string, root: string}?
local last

--- The project of the current buffer, without looking at the disk at each redraw.
---@return string
local function root()
  local key = vim.api.nvim_buf_get_name(0) .. '\0' .. vim.fn.getcwd()
  if not last or last.key ~= key then
    last = { key = key, root = require('codex.server').root() }
  end
  return last.root
end

---@param server codex.Server
---@param session codex.Session
---@return string
local function doing(server, session)
  local dead = { failed = 'failed', stopped = 'stopped' }
  if session.status == 'closed' then
    return 'closed'
  elseif session.status == 'disconnected' then
    return dead[server.state] or 'restarting'
  end
  return #session.waiting > 0 and 'waiting' or session.status
end

--- The parts, for a statusline of one's own; nil without a session.
---@return codex.StatuslineState?
function M.state()
  -- A statusline is drawn from the start on; it loads nothing for a session that there is not.
  local open = package.loaded['codex.sessions_open']
  local session = open and open.current(root())
  if not session then
    return nil
  end
  local waiting = 0
  for _, other in ipairs(open.all()) do
    waiting = waiting + #other.waiting
  end
  return {
    model = session.info.model,
    doing = doing(session.server, session),
    waiting = waiting,
    used = session.tokens and session.tokens.total_tokens,
    window = session.info.contextWindow,
    unsaved = session.unsaved ~= nil,
  }
end

---@param tokens integer
---@return string
local function short(tokens)
  return tokens < 1000 and tostring(tokens) or ('%dk'):format(math.floor(tokens / 1000 + 0.5))
end

--- One text, such as `codex gpt-5 · running · 12k/400k`; empty without a session.
---@return string
function M.get()
  local state = M.state()
  if not state then
    return ''
  end
  local parts = { state.model and 'codex ' .. state.model or 'codex' }
  if state.waiting > 0 then
    local what = state.waiting == 1 and '1 question' or state.waiting .. ' questions'
    table.insert(parts, what .. ': :CodexApprove')
  elseif state.doing == 'failed' then
    table.insert(parts, 'failed: :CodexLog')
  elseif state.doing ~= 'idle' then
    table.insert(parts, state.doing)
  end
  if state.used then
    local of = state.window and '/' .. short(state.window) or ''
    table.insert(parts, short(state.used) .. of)
  end
  if state.unsaved then
    table.insert(parts, 'NOT SAVED')
  end
  -- A percent sign would mean something to a statusline.
  return (table.concat(parts, ' · '):gsub('%%', ''))
end

--- Have statuslines drawn again, once for all that happens in one go.
function M.refresh()
  if waits then
    return
  end
  waits = true
  vim.schedule(function()
    waits = false
    vim.cmd.redrawstatus({ bang = true })
    vim.api.nvim_exec_autocmds('User', { pattern = 'CodexStatus', modeline = false })
  end)
end

return M
