-- What was said before: read from the session's file page by page, the newest page first, and put
-- above what is there.

local folds = require('codex.chat.folds')

local M = {}

--- The items of a page.
M.SIZE = 60

---@class codex.chat.Pages
---@field private view codex.chat.View
---@field private history codex.chat.History
---@field private cursor string?
---@field private before integer? only items with a smaller index are older than the view
---@field loading boolean
---@field more boolean
local Pages = {}
Pages.__index = Pages

---@param view codex.chat.View
---@param before integer? items from this index on come as events
---@return codex.chat.Pages
function M.new(view, before)
  return setmetatable({
    view = view,
    history = require('codex.chat.history').new(view.root),
    before = before,
    loading = false,
    more = before ~= 0,
  }, Pages)
end

---@private
---@param oldest integer? the index of the oldest item that is shown
function Pages:set_top(oldest)
  local view = self.view
  if not self.more then
    local folder = vim.fn.fnamemodify(view.root, ':~')
    view.transcript:set_top(('codex in %s'):format(folder), 'CodexHint')
  elseif self.loading then
    view.transcript:set_top('reading what was said before …', 'CodexHint')
  else
    local count = oldest and oldest > 0 and (' (%d items)'):format(oldest) or ''
    view.transcript:set_top(('↑ older messages%s: <CR>'):format(count), 'CodexHint')
  end
end

---@private
---@param list codex.chat.Cell[]
function Pages:insert(list)
  local transcript = self.view.transcript
  local windows = {}
  for _, window in ipairs(vim.fn.win_findbuf(transcript.buffer)) do
    windows[window] = vim.api.nvim_win_call(window, vim.fn.winsaveview)
  end
  local count = vim.api.nvim_buf_line_count(transcript.buffer)
  transcript:insert(list, nil)
  for _, cell in ipairs(list) do
    folds.add(transcript, cell --[[@as codex.chat.Placed]])
  end
  local added = vim.api.nvim_buf_line_count(transcript.buffer) - count
  -- What was on the screen stays where it is.
  for window, saved in pairs(windows) do
    saved.lnum = saved.lnum + added
    saved.topline = saved.topline + added
    vim.api.nvim_win_call(window, function()
      vim.fn.winrestview(saved)
    end)
  end
end

--- Read one more page.
---@param done fun()?
function Pages:load(done)
  done = done or function() end
  local view = self.view
  local session = view.session
  if not session or self.loading or not self.more then
    return
  end
  self.loading = true
  self:set_top()
  local buffer = view.buffer
  local params = {
    sessionId = session.id,
    cursor = self.cursor,
    limit = M.SIZE,
    direction = 'backward',
  }
  session.server:request('session/read', params, function(err, page)
    self.loading = false
    if view.buffer ~= buffer or view.pages ~= self then
      return -- it was wiped out in the meantime
    end
    if err then
      self:set_top()
      require('codex.notify').error(err, 'What was said before cannot be read')
      done()
      return
    end
    local cursor = page.nextCursor
    self.cursor = cursor ~= vim.NIL and cursor or nil
    self.more = self.cursor ~= nil
    local entries = vim.tbl_filter(function(entry)
      return not self.before or entry.index < self.before
    end, page.items)
    local list = self.history:cells(entries, view.transcript.first)
    self:insert(list)
    self:set_top(entries[1] and entries[1].index)
    if #list == 0 and self.more then
      self:load(done) -- a page without anything to show
    else
      done()
    end
  end)
end

--- Say at the top whether there is more.
function Pages:begin()
  self:set_top()
end

return M
