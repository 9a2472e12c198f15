-- The chat: which view a tab page shows, and where the session of a view comes from.

local M = {}

---@class codex.chat.Open
---@field prompt string? is sent
---@field range {[1]: integer, [2]: integer}? lines of the current buffer that go along
---@field session codex.Session? default: the current one, or a new one

---@type table<string, codex.chat.View> by session
local views = {}
local prepared = false

local function prepare()
  if not prepared then
    prepared = true
    require('codex.chat.highlights').define()
  end
end

--- The view of a session.
---@param session codex.Session
---@return codex.chat.View
local function view_of(session)
  local view = views[session.id]
  if not view then
    view = require('codex.chat.view').new(session.root)
    views[session.id] = view
  end
  if view.session ~= session then
    view:adopt(session)
  end
  return view
end

---@param view codex.chat.View
---@param err codex.Error?
---@param session codex.Session?
local function opened(view, err, session)
  view.opening = nil
  if not session then
    view:fail(err or { code = 0, message = 'There is no session' })
    return
  end
  views[session.id] = views[session.id] or view
  view:adopt(session)
end

--- Open a session for a view that has none: the current one, else a new one.
---@param view codex.chat.View
---@param fresh boolean? a new one in any case
function M.start(view, fresh)
  if view.session then
    view.session.server:wake() -- it may have been given up
    return
  elseif view.opening then
    return
  end
  view.opening, view.problem = true, nil
  local function done(err, session)
    opened(view, err, session)
  end
  if not fresh and not view.fresh then
    require('codex.sessions_open').ensure(done)
    return
  end
  view.fresh = true
  local server = require('codex.server').get(view.root)
  require('codex.session').configure(server, {}, function(err, session)
    if session then
      require('codex.sessions_open').set_current(session)
    end
    done(err, session)
  end)
end

---@return codex.chat.View
local function current_view()
  local session = require('codex.sessions_open').current()
  local shown = require('codex.chat.windows').view()
  if shown and (not shown.session or shown.session == session or not session) then
    return shown
  elseif session then
    return view_of(session)
  end
  return require('codex.chat.view').new(require('codex.server').root())
end

--- Show the chat; with a prompt or a range, send them, or have them in the input until there is a
--- prompt.
---@param opts codex.chat.Open?
function M.open(opts)
  opts = opts or {}
  prepare()
  local items = require('codex.chat.items')
  local buffer = vim.api.nvim_get_current_buf()
  local is_chat = vim.bo[buffer].filetype:find('^codex') ~= nil
  local range = not is_chat and opts.range or nil
  local selection = range and items.selection(buffer, range[1], range[2])
  local view = opts.session and view_of(opts.session) or current_view()
  require('codex.chat.windows').show(view)
  M.start(view)
  if opts.prompt then
    local input = items.of_text(opts.prompt, view.root)
    table.insert(input, selection)
    vim.cmd.stopinsert()
    view:send(input, opts.prompt)
    return
  end
  if selection then
    view.input:prepend(items.to_text({ selection }, view.root) .. ' ')
  end
  vim.cmd('startinsert!')
end

--- Begin a new session in the chat of this tab page. The one before goes on.
function M.new()
  prepare()
  local view = require('codex.chat.view').new(require('codex.server').root())
  require('codex.chat.windows').show(view)
  M.start(view, true)
  vim.cmd('startinsert!')
end

--- Show a session in the chat of this tab page.
---@param session codex.Session
function M.attach(session)
  prepare()
  require('codex.chat.windows').show(view_of(session))
end

--- Put the cursor into the input of the chat; it is opened if it is not.
---@param insert boolean? begin to type
function M.focus(insert)
  if not require('codex.chat.windows').focus(insert) then
    M.open({})
  end
end

--- Close the chat's windows in this tab page. The session goes on.
function M.close()
  require('codex.chat.windows').close()
end

--- Interrupt the turn of the session that is shown, else of the current one.
function M.stop()
  local windows = require('codex.chat.windows').here()
  local session = windows and windows.view.session or require('codex.sessions_open').current()
  if session and session.status == 'running' then
    session:interrupt()
  else
    require('codex.notify').info('no turn is running')
  end
end

return M
