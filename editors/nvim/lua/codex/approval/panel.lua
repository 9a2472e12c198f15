-- The lines below a patch that is reviewed: which file and hunk this is, and the keys.

local M = {}

local KEYS = {
  { ']c', 'next hunk' },
  { '[c', 'previous' },
  { 'dp', 'take hunk' },
  { 'do', 'leave it out' },
  { ']f', 'next file' },
  { 'ga', 'apply the right side' },
  { 'gd', 'reject' },
  { 'gx', 'reject and stop' },
  { 'q', 'later' },
}

local namespace = vim.api.nvim_create_namespace('codex.approval.panel')

---@class codex.approval.PanelState
---@field name string
---@field file integer
---@field files integer
---@field hunk integer?
---@field hunks integer
---@field left_out integer
---@field edited boolean
---@field more string?

--- The lines of keys that fit a width.
---@param width integer
---@param many_files boolean
---@return {[1]: string, [2]: string}[][]
local function key_lines(width, many_files)
  local lines, length = { {} }, 1
  for _, key in ipairs(KEYS) do
    if key[1] ~= ']f' or many_files then
      local size = #key[1] + 1 + #key[2] + 3
      if length + size - 2 > width then
        table.insert(lines, {})
        length = 1
      end
      vim.list_extend(lines[#lines], { { ' ' .. key[1], 'Special' }, { ' ' .. key[2] .. ' ', '' } })
      length = length + size
    end
  end
  return lines
end

---@param state codex.approval.PanelState
---@return {[1]: string, [2]: string}[]
local function status(state)
  local chunks = { { ' ' .. state.name, 'Title' } }
  local function add(text, group)
    table.insert(chunks, { ' · ' .. text, group or '' })
  end
  if state.files > 1 then
    add(('file %d of %d'):format(state.file, state.files))
  end
  if state.hunks > 0 then
    local of = state.hunks == 1 and '1 hunk' or ('%d hunks'):format(state.hunks)
    add(state.hunk and ('hunk %d of %d'):format(state.hunk, state.hunks) or of)
  end
  if state.left_out > 0 then
    add(('%d left out'):format(state.left_out), 'WarningMsg')
  end
  if state.edited then
    add('edited', 'WarningMsg')
  end
  if state.more then
    add(state.more)
  end
  return chunks
end

--- Write the panel into its buffer; how many lines it has.
---@param buffer integer
---@param width integer
---@param state codex.approval.PanelState
---@return integer
function M.write(buffer, width, state)
  local rows = { status(state) }
  vim.list_extend(rows, key_lines(width, state.files > 1))
  local lines = {}
  for i, row in ipairs(rows) do
    lines[i] = ''
    for _, chunk in ipairs(row) do
      lines[i] = lines[i] .. chunk[1]
    end
  end
  vim.bo[buffer].modifiable = true
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
  vim.bo[buffer].modifiable = false
  vim.api.nvim_buf_clear_namespace(buffer, namespace, 0, -1)
  for i, row in ipairs(rows) do
    local column = 0
    for _, chunk in ipairs(row) do
      if chunk[2] ~= '' then
        vim.api.nvim_buf_set_extmark(buffer, namespace, i - 1, column, {
          end_col = column + #chunk[1],
          hl_group = chunk[2],
        })
      end
      column = column + #chunk[1]
    end
  end
  return #rows
end

return M
