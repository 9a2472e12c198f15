-- The buffer of a transcript: cells below each other. A cell knows where it is by a mark, so that
-- cells can be added above and below it; nothing here is proportional to the length of the buffer.

local cells = require('codex.chat.cells')
local words = require('codex.chat.words')

local M = {}

local api = vim.api
local marks = api.nvim_create_namespace('codex.chat.cells')
local spans = api.nvim_create_namespace('codex.chat.spans')

---@class codex.chat.Placed: codex.chat.Cell
---@field mark integer at its first line
---@field gap integer empty lines above it
---@field prev codex.chat.Placed?
---@field next codex.chat.Placed?
---@field column integer? bytes in the last line, while text is added to it
---@field folded boolean? it is over, and has a fold
---@field parts string[]? of a text to which more is said
---@field appended integer? how many of them are in the buffer

---@class codex.chat.Transcript
---@field buffer integer
---@field first codex.chat.Placed?
---@field last codex.chat.Placed?
---@field private by_mark table<integer, codex.chat.Placed>
local Transcript = {}
Transcript.__index = Transcript

--- Cells that may follow each other without an empty line.
local DENSE = { command = true, tool = true, reasoning = true, patch = true }

--- In an empty buffer; its first line stays, and is no cell's.
---@param buffer integer
---@return codex.chat.Transcript
function M.new(buffer)
  return setmetatable({ buffer = buffer, by_mark = {} }, Transcript)
end

--- Change the buffer, which nobody else can.
---@private
---@param change fun(buffer: integer)
function Transcript:edit(change)
  local options = vim.bo[self.buffer]
  options.modifiable = true
  change(self.buffer)
  options.modifiable = false
  options.modified = false
end

--- Put lines in the place of others. Folds above and below stay what they are.
---@private
---@param first integer
---@param last integer not included
---@param lines string[]
function Transcript:put_lines(first, last, lines)
  self:edit(function(buffer)
    api.nvim_buf_set_lines(buffer, first, last, false, lines)
  end)
end

--- Put text in the place of other text. A fold around it would lose a line.
---@private
---@param row integer
---@param column integer
---@param end_row integer
---@param end_column integer
---@param lines string[]
function Transcript:put_text(row, column, end_row, end_column, lines)
  self:edit(function(buffer)
    api.nvim_buf_set_text(buffer, row, column, end_row, end_column, lines)
  end)
end

---@private
---@param cell codex.chat.Placed
---@param row integer
function Transcript:put_mark(cell, row)
  cell.mark = api.nvim_buf_set_extmark(self.buffer, marks, row, 0, { id = cell.mark })
  self.by_mark[cell.mark] = cell
end

---@private
---@param row integer
---@return integer bytes
function Transcript:width(row)
  return #(api.nvim_buf_get_lines(self.buffer, row, row + 1, false)[1] or '')
end

---@param above codex.chat.Placed?
---@param cell codex.chat.Cell
---@return integer
local function gap(above, cell)
  if above and above.kind == 'heading' then
    return 0
  end
  return above and DENSE[above.kind] and DENSE[cell.kind] and 0 or 1
end

---@private
---@param cell codex.chat.Placed
---@return integer row
function Transcript:row(cell)
  return api.nvim_buf_get_extmark_by_id(self.buffer, marks, cell.mark, {})[1]
end

--- The first and the last line of a cell, from 0.
---@param cell codex.chat.Placed
---@return integer first, integer last
function Transcript:range(cell)
  local following = cell.next
  local last = following and self:row(following) - following.gap - 1
    or api.nvim_buf_line_count(self.buffer) - 1
  return self:row(cell), last
end

--- The last line of what is above a place: of a cell, or of the buffer's own.
---@private
---@param above codex.chat.Placed?
---@return integer
function Transcript:bottom(above)
  if not above then
    return 0
  end
  local _, last = self:range(above)
  return last
end

---@private
---@param row integer
---@param block codex.chat.Block
function Transcript:highlight(row, block)
  for _, span in ipairs(block.spans) do
    api.nvim_buf_set_extmark(self.buffer, spans, row + span[1], span[2], {
      end_col = span[3],
      hl_group = span[4],
      priority = 150, -- above what treesitter says
    })
  end
end

--- Put cells below another one, or at the top.
---@param list codex.chat.Cell[]
---@param above codex.chat.Placed?
function Transcript:insert(list, above)
  if #list == 0 then
    return
  end
  local bottom = self:bottom(above)
  local lines, blocks = {}, {}
  local prev = above
  for _, cell in ipairs(list) do
    ---@cast cell codex.chat.Placed
    local block = cells.render(cell)
    cell.gap = gap(prev, cell)
    for _ = 1, cell.gap do
      table.insert(lines, '')
    end
    blocks[cell] = { row = bottom + 1 + #lines, block = block }
    vim.list_extend(lines, block.lines)
    prev = cell
  end
  self:put_lines(bottom + 1, bottom + 1, lines)
  self:link(list, above)
  for _, cell in ipairs(list) do
    local placed = blocks[cell]
    self:put_mark(cell, placed.row)
    self:highlight(placed.row, placed.block)
  end
  local following = list[#list].next
  if following then
    self:close_up(following)
  end
end

---@private
---@param list codex.chat.Placed[]
---@param above codex.chat.Placed?
function Transcript:link(list, above)
  local below = self.first
  if above then
    below = above.next
  end
  local prev = above
  for _, cell in ipairs(list) do
    cell.prev = prev
    if prev then
      prev.next = cell
    else
      self.first = cell
    end
    prev = cell
  end
  prev.next = below
  if below then
    below.prev = prev
  else
    self.last = prev
  end
end

--- Have as many empty lines above a cell as there should be.
---@private
---@param cell codex.chat.Placed
function Transcript:close_up(cell)
  local wanted = gap(cell.prev, cell)
  if wanted == cell.gap then
    return
  end
  local bottom = self:bottom(cell.prev)
  self:put_lines(bottom + 1, bottom + 1 + cell.gap, wanted == 1 and { '' } or {})
  cell.gap = wanted
end

--- Put a cell below another one, or at the top.
---@param cell codex.chat.Cell
---@param above codex.chat.Placed?
---@return codex.chat.Placed
function Transcript:place(cell, above)
  self:insert({ cell }, above)
  return cell --[[@as codex.chat.Placed]]
end

--- Forget all cells; the buffer is empty again.
function Transcript:reset()
  api.nvim_buf_clear_namespace(self.buffer, marks, 0, -1)
  api.nvim_buf_clear_namespace(self.buffer, spans, 0, -1)
  self.first, self.last, self.by_mark = nil, nil, {}
end

--- Take a cell out.
---@param cell codex.chat.Placed
function Transcript:remove(cell)
  local _, last = self:range(cell)
  local bottom = self:bottom(cell.prev)
  api.nvim_buf_del_extmark(self.buffer, marks, cell.mark)
  self.by_mark[cell.mark], cell.mark = nil, nil
  api.nvim_buf_clear_namespace(self.buffer, spans, bottom + 1, last + 1)
  self:put_lines(bottom + 1, last + 1, {})
  if cell.prev then
    cell.prev.next = cell.next
  else
    self.first = cell.next
  end
  if cell.next then
    cell.next.prev = cell.prev
    self:close_up(cell.next)
  else
    self.last = cell.prev
  end
end

--- Bring the lines of a cell up to date; only those are written that have changed.
---@param cell codex.chat.Placed
function Transcript:render(cell)
  local block = cells.render(cell)
  local first, last = self:range(cell)
  local old, new = api.nvim_buf_get_lines(self.buffer, first, last + 1, false), block.lines
  local same, same_end = 0, 0
  while same < math.min(#old, #new) and old[same + 1] == new[same + 1] do
    same = same + 1
  end
  while same_end < math.min(#old, #new) - same and old[#old - same_end] == new[#new - same_end] do
    same_end = same_end + 1
  end
  if same < #old or same < #new then
    -- What is written has a line at least, before and afterwards: marks are at the ends of lines.
    if same == #old - same_end or same == #new - same_end then
      if same > 0 then
        same = same - 1
      else
        same_end = same_end - 1
      end
    end
    local to = #old - same_end - 1
    local lines = vim.list_slice(new, same + 1, #new - same_end)
    self:put_text(first + same, 0, first + to, #old[to + 1], lines)
    self:put_mark(cell, first) -- what was written at its place has moved it
  end
  api.nvim_buf_clear_namespace(self.buffer, spans, first, first + #new)
  self:highlight(first, block)
  cell.column = nil
end

--- Add to the text of a cell.
---@param cell codex.chat.Placed
---@param text string
---@param prefix string of each further line
function Transcript:append(cell, text, prefix)
  local _, last = self:range(cell)
  local width = self:width(last)
  local column
  text = text:gsub('\r\n', '\n')
  text, column = words.continued(text, cell.column or (width - #prefix))
  cell.column = column
  if prefix ~= '' then
    text = text:gsub('\n', '\n' .. prefix)
  end
  self:put_text(last, width, last, width, vim.split(text, '\n', { plain = true }))
end

--- Change the first line of the buffer.
---@param text string
---@param group string
function Transcript:set_top(text, group)
  api.nvim_buf_clear_namespace(self.buffer, spans, 0, 1)
  self:put_text(0, 0, 0, self:width(0), { text })
  api.nvim_buf_set_extmark(self.buffer, spans, 0, 0, {
    end_col = #text,
    hl_group = group,
    priority = 150,
  })
end

--- The cell that a line is in; nil for the first line of the buffer.
---@param row integer from 0
---@return codex.chat.Placed?, integer? row in it
function Transcript:at(row)
  local found =
    api.nvim_buf_get_extmarks(self.buffer, marks, { row, -1 }, { 0, 0 }, { limit = 1 })[1]
  if found then
    return self.by_mark[found[1]], row - found[2]
  end
end

return M
