-- A patch in a tab: the file as it is on the left, as it is proposed on the right, where it can be
-- edited. What is on the right when it is applied is the answer; there is no other state.

local patch = require('codex.approval.patch')

local M = {}

---@class codex.approval.Review
---@field pages codex.approval.Page[]
---@field at integer the page that is shown
---@field private pairs codex.approval.Pair[] by page
---@field private tab codex.approval.Tab?
---@field private note string?
---@field private answers codex.approval.Answers
local Review = {}
Review.__index = Review

---@param waiting codex.Waiting
---@return codex.approval.Review
function M.new(waiting)
  local self = setmetatable({ pages = patch.pages(waiting.msg), at = 1 }, Review)
  self.pairs = vim.tbl_map(require('codex.approval.pair').new, self.pages)
  for _, pair in ipairs(self.pairs) do
    self:map(pair.old)
    self:map(pair.new)
  end
  return self
end

--- The part of the patch that the cursor is on.
---@private
---@return integer?
function Review:part_at_cursor()
  local _, on_left = self.tab:current()
  return self.pairs[self.at]:at(self.tab:line(), on_left)
end

--- Take the hunk at the cursor, or leave it out, and go to the next one.
---@private
---@param take boolean
function Review:decide(take)
  local i = self:part_at_cursor()
  if not i then
    require('codex.notify').info('there is no hunk here; ]c goes to the next one')
    return
  end
  self.pairs[self.at]:decide(i, take)
  vim.cmd.diffupdate()
  self:refresh()
  self:go(1, true)
end

--- Go to a hunk: the next one is 1, the previous one -1; over the ends into other files.
---@private
---@param step integer
---@param stay boolean? at the last one, rather than to say that there is no more
function Review:go(step, stay)
  local pair, line, target = self.pairs[self.at], self.tab:line(), nil
  local _, on_left = self.tab:current()
  for i in ipairs(pair:parts()) do
    local first = pair:range(i, on_left)
    if step > 0 and first > line and not target then
      target = first
    elseif step < 0 and first < line then
      target = first
    end
  end
  if target then
    self.tab:go(target)
    self:refresh()
  elseif self.pages[self.at + step] then
    self:show(self.at + step, step)
  elseif not stay then
    require('codex.notify').info(
      step > 0 and 'that was the last hunk; ga applies the right side' or 'that is the first hunk'
    )
  end
end

--- Show a file, at its first hunk (1) or at its last one (-1).
---@private
---@param at integer
---@param step integer
function Review:show(at, step)
  self.at = at
  local page, pair = self.pages[at], self.pairs[at]
  local labels = { old = 'before', new = 'proposed, can be edited' }
  if not page.old then
    labels.new = 'proposed'
  elseif page.is_add then
    labels.old = 'before: there is no such file'
  elseif page.is_delete then
    labels.new = 'proposed: the file is removed'
  elseif page.move_path then
    labels.new = 'proposed: moved to ' .. vim.fn.fnamemodify(page.move_path, ':~:.')
  end
  self.tab:show(pair.old, pair.new, labels, page.old ~= nil)
  vim.api.nvim_set_current_win(self.tab.new)
  local parts = pair:parts()
  local part = step < 0 and parts[#parts] or parts[1]
  self.tab:go(part and part.first or 0)
  self:refresh()
end

--- Bring the panel and the marks of what is left out up to date.
---@private
function Review:refresh()
  if not self:is_open() then
    return
  end
  local pair = self.pairs[self.at]
  local marked = pair:mark()
  local width = vim.api.nvim_win_get_width(self.tab.panel)
  local height = require('codex.approval.panel').write(self.tab.panel_buffer, width, {
    name = pair.page.name,
    file = self.at,
    files = #self.pages,
    hunk = self:part_at_cursor(),
    hunks = #pair.page.spans,
    left_out = marked.left_out,
    edited = marked.edited,
    more = self.note,
  })
  self.tab:set_panel_height(height)
end

---@private
function Review:apply()
  local made = {}
  for _, pair in ipairs(self.pairs) do
    made[pair.page.path] = pair:lines()
  end
  self.answers.answer(patch.answer(self.pages, made))
end

---@private
---@param buffer integer
function Review:map(buffer)
  local function map(lhs, desc, fn)
    vim.keymap.set('n', lhs, fn, { buffer = buffer, nowait = true, desc = 'codex: ' .. desc })
  end
  -- stylua: ignore start
  map('dp', 'take the hunk', function() self:decide(true) end)
  map('do', 'leave the hunk out', function() self:decide(false) end)
  map(']c', 'next hunk', function() self:go(1) end)
  map('[c', 'previous hunk', function() self:go(-1) end)
  map(']f', 'next file', function() self:show(self.at % #self.pages + 1, 1) end)
  map('[f', 'previous file', function() self:show((self.at - 2) % #self.pages + 1, 1) end)
  map('ga', 'apply the right side', function() self:apply() end)
  map('gd', 'reject', function() self.answers.answer('denied') end)
  map('gx', 'reject and stop', function() self.answers.answer('abort') end)
  map('q', 'later', function() self.answers.later() end)
  -- stylua: ignore end
  vim.api.nvim_create_autocmd({ 'TextChanged', 'InsertLeave', 'CursorMoved' }, {
    buffer = buffer,
    callback = function()
      self:refresh()
    end,
  })
end

--- Open the tab, or go to it.
---@param answers codex.approval.Answers
function Review:open(answers)
  self.answers = answers
  if self:is_open() then
    self:focus()
    return
  end
  local pair = self.pairs[self.at]
  self.tab = require('codex.approval.tab').open(pair.old, pair.new, {
    closed = answers.later,
    resized = function()
      self:refresh()
    end,
  })
  self:map(self.tab.panel_buffer)
  self:show(self.at, 1)
  vim.cmd('wincmd =')
  self:refresh()
end

---@return boolean
function Review:is_open()
  return self.tab ~= nil and self.tab:is_open()
end

function Review:focus()
  vim.api.nvim_set_current_win(self.tab.new)
end

---@return boolean
function Review:has_focus()
  return self.tab ~= nil and self.tab:has_focus()
end

--- As of floating windows; in a tab no key is an answer by itself.
function Review.arm() end

---@param note string?
function Review:set_note(note)
  self.note = note
  self:refresh()
end

--- Close the tab; what was edited is kept.
function Review:close()
  if self.tab then
    self.tab:close()
    self.tab = nil
  end
end

--- It is answered: nothing of it is kept.
function Review:forget()
  self:close()
  for _, pair in ipairs(self.pairs) do
    pair:forget()
  end
end

return M
