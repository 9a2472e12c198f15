-- What a configuration calls. Everything else is loaded when it is first needed.

local M = {}

--- Store options; optional. What is wrong in them is said once, and left out.
---@param opts codex.Options?
function M.setup(opts)
  require('codex.config').set(opts or {})
end

--- Open the chat; with a prompt, send it.
---@param opts codex.chat.Open?
function M.open(opts)
  require('codex.chat').open(opts or {})
end

--- Begin a new session in the chat.
function M.new()
  require('codex.chat').new()
end

--- Interrupt the turn of the current session.
function M.stop()
  require('codex.chat').stop()
end

--- Answer the approval that has waited longest.
function M.approve()
  require('codex.approval').approve()
end

--- Pick a saved session.
---@param opts table?
function M.sessions(opts)
  require('codex.sessions').pick(opts)
end

--- Go on with a saved session: by its id, or `'last'`.
---@param id string
function M.resume(id)
  require('codex.sessions').resume(id)
end

--- A few words for a statusline: what the current session does. Empty without one.
---@return string
function M.statusline()
  return require('codex.statusline').get()
end

return M
