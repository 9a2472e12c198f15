-- The two buffers of a file that is reviewed, and where the parts of the patch are in them.

local patch = require('codex.approval.patch')

local M = {}

---@class codex.approval.Pair
---@field page codex.approval.Page
---@field old integer the buffer of the file as it is
---@field new integer the buffer of the file as it is proposed, and can be edited
---@field private known {tick: integer, parts: codex.approval.Part[], made: codex.approval.Span[]}?
local Pair = {}
Pair.__index = Pair

local namespace = vim.api.nvim_create_namespace('codex.approval.pair')

---@param side 'before'|'proposed'
---@param lines string[]
---@param page {name: string, path: string}
---@param editable boolean
---@return integer
local function buffer_of(side, lines, page, editable)
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = 'hide'
  vim.bo[buffer].swapfile = false
  -- A name is for those who look at the list of buffers; it is no path.
  pcall(vim.api.nvim_buf_set_name, buffer, ('codex://%s/%d/%s'):format(side, buffer, page.name))
  -- What is proposed cannot be undone, but for what the person does.
  local undolevels = vim.bo[buffer].undolevels
  vim.bo[buffer].undolevels = -1
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  vim.bo[buffer].undolevels = undolevels
  vim.bo[buffer].modified = false
  vim.bo[buffer].modifiable = editable
  local head = vim.list_slice(lines, 1, 100)
  local filetype = vim.filetype.match({ filename = page.path, contents = head })
  if filetype then
    vim.bo[buffer].filetype = filetype
  end
  return buffer
end

--- Make the buffers of a file. Of one that is no text, or too large, all that there is to see is
--- the announced diff.
---@param page codex.approval.Page
---@return codex.approval.Pair
function M.new(page)
  local self = setmetatable({ page = page }, Pair)
  if page.old then
    self.old = buffer_of('before', page.old, page, false)
    self.new = buffer_of('proposed', page.new, page, true)
  else
    local diff = require('codex.approval.text').diff({ [page.path] = page.change })
    local shown = { path = 'x.diff', name = page.name }
    local why = { 'This file is too large to be shown, or no text.' }
    self.old = buffer_of('before', why, shown, false)
    self.new = buffer_of('proposed', vim.split(diff, '\n', { plain = true }), shown, false)
  end
  return self
end

--- What the person has made of the file; nil if it is not shown.
---@return string[]?
function Pair:lines()
  local page = self.page
  if not page.old then
    return nil
  end
  local lines = vim.api.nvim_buf_get_lines(self.new, 0, -1, false)
  -- A buffer without a line has an empty one.
  local empty = #lines == 1 and lines[1] == ''
  local meant = vim.deep_equal(page.new, { '' }) or vim.deep_equal(page.old, { '' })
  return empty and not meant and {} or lines
end

--- Where the parts of the patch are now on the right side, and what that side has of its own.
--- Worked out once for each text: every move of the cursor asks for it.
---@return codex.approval.Part[] parts, codex.approval.Span[] made
function Pair:parts()
  local tick = vim.api.nvim_buf_get_changedtick(self.new)
  if not (self.known and self.known.tick == tick) then
    local lines = self:lines()
    local made = lines and patch.spans(self.page.old, lines) or {}
    local parts = vim.tbl_map(function(span)
      return patch.locate(self.page, span, lines, made)
    end, self.page.spans)
    self.known = { tick = tick, parts = parts, made = made }
  end
  return self.known.parts, self.known.made
end

--- Where a part begins and ends in one of the two.
---@param i integer
---@param on_left boolean
---@return integer first, integer last lines from 0, the last one not included
function Pair:range(i, on_left)
  local span, part = self.page.spans[i], self:parts()[i]
  if on_left then
    return span.a0, span.a1
  end
  return part.first, part.last
end

--- The part at a line of one of the two.
---@param line integer from 0
---@param on_left boolean
---@return integer?
function Pair:at(line, on_left)
  local parts = self:parts()
  for i in ipairs(parts) do
    local first, last = self:range(i, on_left)
    -- What is gone is at the line behind it, or at the last one.
    local is_here = line >= first and line < math.max(last, first + 1)
    if is_here or (first == last and line == first - 1 and i == #parts) then
      return i
    end
  end
end

--- Take a part of the patch, or leave it out.
---@param i integer
---@param take boolean
function Pair:decide(i, take)
  local part, whole = self:parts()[i], assert(self:lines())
  local want = take and part.new or part.old
  if vim.deep_equal(vim.list_slice(whole, part.first + 1, part.last), want) then
    return
  end
  local is_all = part.first == 0 and part.last == #whole
  vim.api.nvim_buf_set_lines(self.new, part.first, is_all and -1 or part.last, false, want)
end

--- Mark what is left out.
---@return {left_out: integer, edited: boolean}
function Pair:mark()
  local parts, made = self:parts()
  local left_out, edited = 0, false
  vim.api.nvim_buf_clear_namespace(self.new, namespace, 0, -1)
  for _, part in ipairs(parts) do
    edited = edited or part.state == 'edited'
    if part.state == 'left out' then
      left_out = left_out + 1
      local line = math.min(part.first, vim.api.nvim_buf_line_count(self.new) - 1)
      vim.api.nvim_buf_set_extmark(self.new, namespace, line, 0, {
        virt_text = { { '  left out; dp takes it', 'WarningMsg' } },
        virt_text_pos = 'eol',
      })
    end
  end
  -- Or in a place that the patch does not touch.
  return { left_out = left_out, edited = edited or #made > #parts - left_out }
end

function Pair:forget()
  for _, buffer in ipairs({ self.old, self.new }) do
    if vim.api.nvim_buf_is_valid(buffer) then
      vim.api.nvim_buf_delete(buffer, { force = true })
    end
  end
end

return M
