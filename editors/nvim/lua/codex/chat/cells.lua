-- What a transcript is made of, and how each part of it reads: a cell becomes lines of Markdown,
-- and what is highlighted in them beyond what Markdown itself does. Pure.

local patches = require('codex.chat.patches')
local words = require('codex.chat.words')

local M = {}

--- How a call goes; `skipped`: it was not done, as somebody said no, or the turn ended before.
---@alias codex.chat.CallState 'asked'|'answered'|'running'|'done'|'failed'|'skipped'

---@alias codex.chat.CellKind
---| 'heading'|'user'|'message'|'reasoning'|'command'
---| 'patch'|'plan'|'tool'|'notice'|'waiting'

---@class codex.chat.Cell
---@field kind codex.chat.CellKind
---@field folder string? that paths are shown relative to
---@field items table[]? of an input
---@field text string?
---@field command string[]|string|nil
---@field cwd string?
---@field state codex.chat.CallState?
---@field exit_code integer?
---@field seconds number?
---@field output codex.chat.Output?
---@field files codex.chat.PatchedFile[]?
---@field problem string? why a patch was not applied
---@field steps {step: string, status: string}[]?
---@field explanation string?
---@field name string? of a tool
---@field input string? of a tool, as JSON
---@field level 'info'|'warning'|'error'|nil
---@field detail string? what is folded under a notice
---@field live boolean? more of it comes
---@field title codex.chat.Chunk[]? its first line, once it was rendered; also the text of its fold
---@field more integer? the line (from 0) that says that something is left out
---@field places table<integer, codex.chat.Place>? files that its lines (from 0) are about

---@class codex.chat.Place
---@field path string
---@field line integer?

---@class codex.chat.Chunk
---@field [1] string
---@field [2] string? highlight group
---@field code boolean? it is shown as code

---@class codex.chat.Block
---@field lines string[]
---@field spans {[1]: integer, [2]: integer, [3]: integer, [4]: string}[] line, columns, group

local MAX_LINE_BYTES = 1000
local MAX_DIFF_LINES = 300

---@param block codex.chat.Block
---@param chunks codex.chat.Chunk[]
local function head(block, chunks)
  local row, text = #block.lines, ''
  for _, chunk in ipairs(chunks) do
    local part = chunk.code and words.code(chunk[1]) or chunk[1]
    if chunk[2] then
      table.insert(block.spans, { row, #text, #text + #part, chunk[2] })
    end
    text = text .. part
  end
  table.insert(block.lines, text)
end

---@param block codex.chat.Block
---@param lines string[]
---@param group string?
local function add(block, lines, group)
  for _, line in ipairs(lines) do
    if group then
      table.insert(block.spans, { #block.lines, 0, #line, group })
    end
    table.insert(block.lines, line)
  end
end

--- A code block; of lines that are too long for a window, only the beginning.
---@param block codex.chat.Block
---@param language string
---@param lines string[]
---@param on_line fun(row: integer, line: string, index: integer)?
local function fenced(block, language, lines, on_line)
  local fence = words.fence(lines)
  table.insert(block.lines, fence .. language)
  for i, line in ipairs(lines) do
    if #line > MAX_LINE_BYTES then
      line = line:sub(1, MAX_LINE_BYTES + vim.str_utf_start(line, MAX_LINE_BYTES + 1) - 1) .. ' …'
    end
    line = line:gsub('\n', ' ')
    if on_line then
      on_line(#block.lines, line, i)
    end
    table.insert(block.lines, line)
  end
  table.insert(block.lines, fence)
end

---@param block codex.chat.Block
---@param text string
---@param live boolean?
local function quoted(block, text, live)
  for _, line in ipairs(words.broken(live and words.begun(text) or words.trimmed(text))) do
    table.insert(block.lines, '> ' .. line)
  end
end

---@param count integer
---@return string
local function left_out(count)
  return ('… %s: <CR> shows all'):format(words.counted(count, 'more line'))
end

---@param block codex.chat.Block
---@param cell codex.chat.Cell
local function output(block, cell)
  if not cell.output or cell.output:total() == 0 then
    return
  end
  local lines, count, at = cell.output:shown()
  if count then
    table.insert(lines, at + 1, left_out(count))
  end
  fenced(block, '', lines, function(row, line, i)
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

--- What was sent along with a text.
---@param item table
---@param folder string?
---@return string?
function M.attachment(item, folder)
  if item.type == 'image' then
    return 'image'
  elseif type(item.path) ~= 'string' then
    return nil
  end
  local path = words.path(item.path, folder)
  return item.range and ('%s:%s'):format(path, words.range(item.range)) or path
end

---@param block codex.chat.Block
---@param cell codex.chat.Cell
local function input(block, cell)
  local attached = {}
  local said = ''
  for _, item in ipairs(cell.items) do
    if item.type == 'text' then
      said = said .. '\n' .. item.text
      local text = table.concat(words.trimmed(item.text), '\n')
      local fence = words.open_fence(text)
      add(block, words.lines(fence and text .. '\n' .. fence or text))
    else
      table.insert(attached, item)
    end
  end
  for _, item in ipairs(attached) do
    local label = M.attachment(item, cell.folder)
    -- A file that is named in the text is told once.
    if label and not (item.type == 'mention' and said:find('@' .. label, 1, true)) then
      if item.path then
        local line = item.range and item.range.start.line + 1 or nil
        cell.places = cell.places or {}
        cell.places[#block.lines] = { path = item.path, line = line }
      end
      local with = item.type:find('image') and 'With the image ' or 'With '
      head(block, { { with, 'CodexHint' }, { label, 'CodexPath', code = true } })
    end
  end
end

local kinds = {}

function kinds.heading(block)
  head(block, { { '# Codex', 'CodexAgent' } })
end

function kinds.user(block, cell)
  head(block, { { '# You', 'CodexUser' } })
  cell.places = nil
  input(block, cell)
end

function kinds.waiting(block, cell)
  local inner = { lines = {}, spans = {} }
  input(inner, cell)
  head(block, { { 'Waits for its turn:', 'CodexAsks' } })
  add(block, inner.lines, 'CodexWaiting')
  cell.places = nil
end

function kinds.message(block, cell)
  if cell.live then
    add(block, words.broken(words.begun(cell.text)))
    return
  end
  add(block, words.broken(words.trimmed(cell.text)))
  local fence = words.open_fence(cell.text)
  if fence then
    add(block, { fence })
  end
end

function kinds.reasoning(block, cell)
  local first = words.trimmed(cell.text)[1]:gsub('[*_#`]', '')
  local chunks = { { cell.live and 'Thinking' or 'Thought', 'CodexHint' } }
  cell.title = { chunks[1], { ' · ' .. first, 'CodexReasoning' } }
  head(block, chunks)
  quoted(block, cell.text, cell.live)
end

local COMMAND = {
  asked = 'Asks to run ',
  answered = 'Will run ',
  running = 'Running ',
  done = 'Ran ',
  failed = 'Ran ',
  skipped = 'Did not run ',
}

function kinds.command(block, cell)
  local text = cell.command
  if type(text) == 'table' then
    text = require('codex.approval.text').command(text)
  end
  local lines = words.trimmed(text or '')
  local first = #lines > 1 and lines[1] .. ' …' or lines[1]
  if #first > MAX_LINE_BYTES then
    first = first:sub(1, MAX_LINE_BYTES) .. '…'
  end
  local chunks = { { COMMAND[cell.state], 'CodexCall' }, { first, 'CodexCommand', code = true } }
  if cell.cwd and cell.folder and words.path(cell.cwd, cell.folder) ~= '.' then
    table.insert(chunks, { ' in ' .. words.path(cell.cwd, cell.folder), 'CodexHint' })
  end
  ended(chunks, cell)
  head(block, chunks)
  cell.title, cell.more = chunks, nil
  if #lines > 1 then
    fenced(block, 'sh', lines)
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
    table.insert(lines, left_out(#file.diff - #lines))
  end
  if #lines == 0 then
    return room
  end
  fenced(block, 'diff', lines, function(row, line, i)
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

function kinds.patch(block, cell)
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
  head(block, chunks)
  cell.title = chunks
  if cell.problem and vim.trim(cell.problem) ~= '' then
    add(block, words.trimmed(cell.problem), 'CodexFailed')
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
      head(block, line)
    end
    room = diff(block, cell, file, room)
  end
end

function kinds.plan(block, cell)
  local done = 0
  for _, step in ipairs(cell.steps) do
    done = done + (step.status == 'completed' and 1 or 0)
  end
  local chunks = { { 'Plan', 'CodexCall' } }
  table.insert(chunks, { (' · %d of %d done'):format(done, #cell.steps), 'CodexHint' })
  head(block, chunks)
  if cell.explanation and vim.trim(cell.explanation) ~= '' then
    add(block, words.trimmed(cell.explanation))
  end
  for _, step in ipairs(cell.steps) do
    local text = table.concat(words.trimmed(step.step), ' ')
    local mark = step.status == 'completed' and '- [x] ' or '- [ ] '
    local now = step.status == 'in_progress'
    add(block, { mark .. text .. (now and ' ← now' or '') }, now and 'CodexPlanNow' or nil)
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

function kinds.tool(block, cell)
  local chunks = { { TOOL[cell.state], 'CodexCall' }, { cell.name, 'CodexCommand', code = true } }
  ended(chunks, cell)
  head(block, chunks)
  cell.title, cell.more = chunks, nil
  if cell.input and cell.input ~= '' then
    fenced(block, 'json', words.lines(cell.input))
  end
  output(block, cell)
end

local LEVELS = {
  error = { 'Error: ', 'CodexError' },
  warning = { 'Warning: ', 'CodexWarning' },
}

function kinds.notice(block, cell)
  local lines = words.trimmed(cell.text)
  local level = LEVELS[cell.level]
  local group = level and level[2] or 'CodexHint'
  local chunks = { { lines[1], group } }
  if level then
    table.insert(chunks, 1, level)
  end
  head(block, chunks)
  cell.title = chunks
  add(block, vim.list_slice(lines, 2), group)
  if cell.detail then
    quoted(block, cell.detail)
  end
end

--- A cell as lines.
---@param cell codex.chat.Cell
---@return codex.chat.Block
function M.render(cell)
  local block = { lines = {}, spans = {} }
  kinds[cell.kind](block, cell)
  for i, line in ipairs(block.lines) do
    if line:find('[\n%z]') then
      block.lines[i] = line:gsub('[\n%z]', ' ')
    end
  end
  return block
end

local FOLDED = { command = true, tool = true, reasoning = true }
local LONG_PATCH = 30

--- Whether a cell of so many lines is folded when it is over.
---@param cell codex.chat.Cell
---@param count integer
---@return boolean
function M.folds(cell, count)
  if count < 2 or cell.live or cell.state == 'asked' or cell.state == 'running' then
    return false
  end
  return FOLDED[cell.kind]
    or cell.kind == 'notice' and cell.detail ~= nil
    or cell.kind == 'patch' and count > LONG_PATCH
    or false
end

return M
