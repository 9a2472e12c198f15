-- The line above the transcript: what the session is about, and how it is. What there is no room
-- for is left out, the least important first.

local words = require('codex.chat.words')

local M = {}

---@type table<integer, codex.chat.View> by buffer
local views = {}

---@param tokens integer
---@return string
local function short(tokens)
  return tokens < 1000 and tostring(tokens) or ('%dk'):format(math.floor(tokens / 1000 + 0.5))
end

---@param view codex.chat.View
---@return string text, string group
local function state(view)
  local session = view.session
  if not session then
    return view.problem and 'not started' or 'starting',
      view.problem and 'CodexError' or 'CodexHint'
  elseif #session.waiting > 0 then
    local count = words.counted(#session.waiting, 'question')
    return count .. ': :CodexApprove', 'CodexAsks'
  elseif session.status == 'disconnected' then
    local given_up = { failed = 'failed: :CodexLog', stopped = 'stopped: :Codex starts it' }
    return given_up[session.server.state] or 'restarting', 'CodexError'
  elseif session.status == 'running' then
    return 'running', 'CodexRunning'
  end
  return session.status, 'CodexHint'
end

---@param session codex.Session
---@return string?
local function policy(session)
  local approval, sandbox = session.info.approvalPolicy, session.info.sandboxPolicy
  local mode = type(sandbox) == 'table' and sandbox.mode or sandbox
  if not approval then
    return nil
  end
  return type(mode) == 'string' and ('%s, %s'):format(approval, mode) or approval
end

---@param text string
---@return string
local function escaped(text)
  return (text:gsub('%%', '%%%%'):gsub('[%c]', ' '))
end

--- The line for a view, in so many columns, as a 'winbar' has it.
---@param view codex.chat.View
---@param width integer
---@return string
function M.line(view, width)
  local session = view.session
  local how, group = state(view)
  -- In the order in which they are shown; the last ones are the first that there is no room for.
  local parts = { { how, group } }
  if session and session.unsaved then
    table.insert(parts, { 'NOT SAVED', 'CodexError' })
  end
  if session and session.info.model then
    table.insert(parts, { session.info.model, 'CodexHint' })
  end
  if session and session.tokens then
    local of = session.info.contextWindow and '/' .. short(session.info.contextWindow) or ''
    table.insert(parts, { short(session.tokens.total_tokens) .. of, 'CodexHint' })
  end
  local allowed = session and policy(session)
  if allowed then
    table.insert(parts, { allowed, 'CodexHint' })
  end
  local title = view:title()
  local wanted = math.min(vim.fn.strdisplaywidth(title), 16)
  local shown, used = {}, 1
  for i, part in ipairs(parts) do
    local more = vim.fn.strdisplaywidth(part[1]) + 3
    if i == 1 or used + more + wanted < width then
      table.insert(shown, ('%%#%s#%s'):format(part[2], escaped(part[1])))
      used = used + more
    end
  end
  local room = width - used - 1
  local name = room >= 4 and escaped(words.shortened(title, room)) or ''
  return ('%%#CodexUser# %s%%=%s '):format(name, table.concat(shown, '%#CodexHint# · '))
end

--- Have a transcript's windows show the line of its view.
---@param buffer integer
---@param view codex.chat.View
function M.attach(buffer, view)
  views[buffer] = view
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = buffer,
    once = true,
    callback = function()
      views[buffer] = nil
    end,
  })
end

--- What 'winbar' calls, in the window that is drawn.
---@return string
function M.get()
  local view = views[vim.api.nvim_get_current_buf()]
  return view and M.line(view, vim.api.nvim_win_get_width(0)) or ''
end

return M
