-- What is done: commands, patches and the use of tools, as lines of a transcript. Pure.

local blocks = require('codex.chat.blocks')
local patches = require('codex.chat.patches')
local words = require('codex.chat.words')

local M = {}

local MAX_DIFF_LINES = 300

---@param block codex.chat.Block
---@param cell codex.chat.Cell
local function output(block, cell)
  if not cell.output or cell.output:total() == 0 then
    return
  end
  local lines, count, at = cell.output:shown()
  if count then
    table.insert(lines, at + 1, blocks.left_out(count))
  end
  blocks.fenced(block, '', lines, function(row, line, i)
    if count and i == at + 1 then
      cell.more = row
      table.insert(block.spans, { row, 0, #line, 'CodexHint' })
    end
  end)
end

--- How a call ended, behind its name.
---@param chunks codex.chat.Chunk[]
---@param cell codex.chat.Cell
local function ended(chunks, cell)
  if cell.state == 'asked' then
    table.insert(chunks, { ' · ' })
    table.insert(chunks, { 'waits for your answer', 'CodexAsks' })
  end
  if cell.exit_code == -1 then
    table.insert(chunks, { ' · ' })
    table.insert(chunks, { 'did not finish', 'CodexFailed' })
  elseif cell.exit_code then
    table.insert(chunks, { ' · ' })
    local group = cell.exit_code == 0 and 'CodexDone' or 'CodexFailed'
    table.insert(chunks, { ('exit %d'):format(cell.exit_code), group })
  elseif cell.state == 'failed' then
    table.insert(chunks, { ' · ' })
    table.insert(chunks, { 'failed', 'CodexFailed' })
  end
  if cell.seconds then
    table.insert(chunks, { ' · ' .. words.duration(cell.seconds), 'CodexHint' })
  end
end

local COMMAND = {
  asked = 'Asks to run ',
  answered = 'Will run ',
  running = 'Running ',
  done = 'Ran ',
  failed = 'Ran ',
  skipped = 'Did not run ',
}

--- A command, with what it prints.
---@param block codex.chat.Block
---@param cell codex.chat.Cell
function M.command(block, cell)
  local text = cell.command
  if type(text) == 'table' then
    text = require('codex.approval.text').command(text)
  end
  local lines = words.trimmed(text or '')
  local first = #lines > 1 and lines[1] .. ' …' or lines[1]
  if #first > blocks.MAX_LINE_BYTES then
    first = first:sub(1, blocks.MAX_LINE_BYTES) .. '…'
  end
  local chunks = { { COMMAND[cell.state], 'CodexCall' }, { first, 'CodexCommand', code = true } }
  if cell.cwd and cell.folder and words.path(cell.cwd, cell.folder) ~= '.' then
    table.insert(chunks, { ' in ' .. words.path(cell.cwd, cell.folder), 'CodexHint' })
  end
  ended(chunks, cell)
  blocks.head(block, chunks)
  cell.title, cell.more = chunks, nil
  if #lines > 1 then
    blocks.fenced(block, 'sh', lines)
  end
  output(block, cell)
end

---@param chunks codex.chat.Chunk[]
---@param files codex.chat.PatchedFile[]
local function sums(chunks, files)
  local added, removed = 0, 0
  for _, file in ipairs(files) do
    added, removed = added + file.added, removed + file.removed
  end
  if added > 0 then
    table.insert(chunks, { (' +%d'):format(added), 'CodexAdded' })
  end
  if removed > 0 then
    table.insert(chunks, { (' -%d'):format(removed), 'CodexRemoved' })
  end
end

local PATCH = {
  asked = { 'Asks to change ', 'Asks to add ', 'Asks to delete ', 'Asks to move ' },
  answered = { 'Will change ', 'Will add ', 'Will delete ', 'Will move ' },
  running = { 'Changing ', 'Adding ', 'Deleting ', 'Moving ' },
  done = { 'Changed ', 'Added ', 'Deleted ', 'Moved ' },
  failed = { 'Could not change ', 'Could not add ', 'Could not delete ', 'Could not move ' },
  skipped = { 'Did not change ', 'Did not add ', 'Did not delete ', 'Did not move ' },
}
local VERB = { edit = 1, add = 2, delete = 3, move = 4 }
local DIFF_GROUPS = { ['+'] = 'CodexAdded', ['-'] = 'CodexRemoved', ['@'] = 'CodexHunk' }

---@param chunks codex.chat.Chunk[]
---@param file codex.chat.PatchedFile
---@param folder string?
local function named(chunks, file, folder)
  table.insert(chunks, { words.path(file.path, folder), 'CodexPath', code = true })
  if file.to then
    table.insert(chunks, { ' to ' })
    table.insert(chunks, { words.path(file.to, folder), 'CodexPath', code = true })
  end
  sums(chunks, { file })
end

---@param block codex.chat.Block
---@param cell codex.chat.Cell
---@param file codex.chat.PatchedFile
---@param room integer how many lines of diffs may still be shown
---@return integer room
local function diff(block, cell, file, room)
  local path = file.to or file.path
  local lines = vim.list_slice(file.diff, 1, math.max(0, room))
  if #lines < #file.diff then
    table.insert(lines, blocks.left_out(#file.diff - #lines))
  end
  if #lines == 0 then
    return room
  end
  blocks.fenced(block, 'diff', lines, function(row, line, i)
    if i > room then
      cell.more = row
    end
    cell.places[row] = { path = path, line = patches.line_of(file.diff, i) }
    local group = i > room and 'CodexHint' or DIFF_GROUPS[line:sub(1, 1)]
    if group then
      table.insert(block.spans, { row, 0, #line, group })
    end
  end)
  return room - #lines
end

--- A patch: its files, with a diff of each.
---@param block codex.chat.Block
---@param cell codex.chat.Cell
function M.patch(block, cell)
  local labels = PATCH[cell.state]
  local chunks
  cell.places, cell.more = {}, nil
  if #cell.files == 1 then
    local file = cell.files[1]
    chunks = { { labels[VERB[file.verb]], 'CodexCall' } }
    named(chunks, file, cell.folder)
    cell.places[0] = { path = file.to or file.path }
  else
    chunks = { { labels[1], 'CodexCall' }, { words.counted(#cell.files, 'file'), 'CodexPath' } }
    sums(chunks, cell.files)
  end
  if cell.state == 'asked' then
    ended(chunks, cell)
  end
  blocks.head(block, chunks)
  cell.title = chunks
  if cell.problem and vim.trim(cell.problem) ~= '' then
    blocks.add(block, words.trimmed(cell.problem), 'CodexFailed')
  end
  local room = MAX_DIFF_LINES
  for _, file in ipairs(cell.files) do
    if #cell.files > 1 then
      local line = { { '- ' } }
      named(line, file, cell.folder)
      if file.verb ~= 'edit' then
        table.insert(line, { (' %s'):format(file.verb), 'CodexHint' })
      end
      cell.places[#block.lines] = { path = file.to or file.path }
      blocks.head(block, line)
    end
    room = diff(block, cell, file, room)
  end
end

local TOOL = {
  asked = 'Asks to use ',
  answered = 'Will use ',
  running = 'Using ',
  done = 'Used ',
  failed = 'Used ',
  skipped = 'Did not use ',
}

--- The use of a tool, with what it was given and has given back.
---@param block codex.chat.Block
---@param cell codex.chat.Cell
function M.tool(block, cell)
  local chunks = { { TOOL[cell.state], 'CodexCall' }, { cell.name, 'CodexCommand', code = true } }
  ended(chunks, cell)
  blocks.head(block, chunks)
  cell.title, cell.more = chunks, nil
  if cell.input and cell.input ~= '' then
    blocks.fenced(block, 'json', words.lines(cell.input))
  end
  output(block, cell)
end

return M
